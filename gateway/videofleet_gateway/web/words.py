"""Values as people read them. Pure."""

from datetime import UTC, datetime
from typing import Final

from videofleet_api.redaction import redact_text, redact_url
from videofleet_gateway.jobs.job import Job, read_time

LONGEST: Final = 300


def moment(time: datetime | str | None) -> str:
    """A time in UTC, to the second."""
    if time is None:
        return "-"
    time = read_time(time) if isinstance(time, str) else time
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clean(text: str | None) -> str:
    """A message without credentials, and not longer than a paragraph."""
    return redact_text(text or "")[:LONGEST] or "-"


def called(job: Job) -> str:
    """A job by the name that whoever made it knows."""
    return (job.id_in("f") or job.id_in("v") or job.name)[:LONGEST]


def source_of(job: Job) -> str:
    """Where a job's video is, without credentials."""
    if job.spec is None:
        return "made with a newer version"
    source = job.spec.source
    if source.url is not None:
        return redact_url(source.url)[:LONGEST]
    if source.images is not None:
        return f"{len(source.images)} pictures"
    return job.status.source or "an address kept in a Secret"


def steps_of(job: Job) -> str:
    """What is done with it."""
    if job.spec is None:
        return "-"
    return "; ".join(", ".join(step.model for step in analytics.steps) for analytics in job.spec.analytics)
