"""When a job that is over is deleted, as `ttlSecondsAfterFinished` of its spec asks for."""

from videofleet_api.codes import Reason
from videofleet_operator.domain.backoff import over_without_success
from videofleet_operator.domain.model import Job, Record, Seconds


def expires_at(job: Job, record: Record) -> Seconds | None:
    """When the job is to be deleted; None: not as it is now.

    Over are a single pass that ended or broke off, and, as with a Job of batch/v1, a job that has failed for good.
    """
    lifetime = job.spec.ttl_seconds_after_finished
    if lifetime is None or not (record.finished or over_without_success(record, job.spec.restart)):
        return None
    if not job.spec.enabled or record.observed_generation < job.generation or _undecided(job):
        # Whether an edit makes it run again is for the lifecycle to say first.
        return None
    return record.since + lifetime


def _undecided(job: Job) -> bool:
    return job.problem is not None and job.problem.reason is Reason.PENDING
