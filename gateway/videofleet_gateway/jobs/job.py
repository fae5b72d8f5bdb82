"""A VideoJob as the gateway keeps it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from pydantic import ValidationError

from videofleet_api.videojob import VideoJobSpec, VideoJobStatus
from videofleet_gateway.jobs.naming import id_annotation, job_name
from videofleet_kube.resources import Json


@dataclass(frozen=True)
class Job:
    """One VideoJob at one version. `generation` counts changes of its spec."""

    uid: str
    namespace: str
    name: str
    version: str
    generation: int
    created: datetime
    raw_spec: Json = field(repr=False)
    raw_status: Json = field(repr=False)
    annotations: dict[str, str] = field(default_factory=dict, repr=False)
    deleting: bool = False

    @classmethod
    def of(cls, obj: Json) -> "Job":
        """From an object of the API server."""
        metadata = obj["metadata"]
        return cls(
            uid=metadata["uid"],
            namespace=metadata["namespace"],
            name=metadata["name"],
            version=metadata["resourceVersion"],
            generation=int(metadata.get("generation") or 1),
            created=read_time(metadata["creationTimestamp"]),
            raw_spec=obj.get("spec") or {},
            raw_status=obj.get("status") or {},
            annotations=metadata.get("annotations") or {},
            deleting="deletionTimestamp" in metadata,
        )

    @cached_property
    def spec(self) -> VideoJobSpec | None:
        """The spec; None where a newer version of the API has stored what this one cannot read."""
        try:
            return VideoJobSpec.model_validate(self.raw_spec)
        except ValidationError:
            return None

    @cached_property
    def known_status(self) -> VideoJobStatus | None:
        """The status; None where a newer operator has written what this version cannot read."""
        try:
            return VideoJobStatus.model_validate(self.raw_status)
        except ValidationError:
            return None

    @property
    def status(self) -> VideoJobStatus:
        """The status, for what is shown of it: one that cannot be read is as none."""
        return self.known_status or VideoJobStatus()

    def id_in(self, dialect: str) -> str | None:
        """The id that it was made with through a dialect; None for a job of others.

        An annotation can be copied to another object, whose name then is not what its id makes.
        """
        identifier = self.annotations.get(id_annotation(dialect))
        return identifier if identifier is not None and job_name(dialect, identifier) == self.name else None


def read_time(text: str) -> datetime:
    """A time of the API server, RFC 3339."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def write_time(time: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
