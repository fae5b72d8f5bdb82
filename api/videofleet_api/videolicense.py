"""VideoLicense: where the signed licence is, and what it says."""

from typing import Annotated, Final

from pydantic import Field, field_validator

from videofleet_api.conditions import Condition
from videofleet_api.model import Document
from videofleet_api.times import parse_time
from videofleet_api.videojob import Time

LONGEST_GRACE: Final = 366
"""Days."""
Features = Annotated[list[Annotated[str, Field(min_length=1, max_length=253)]], Field(max_length=256)]


class NamespacedSecretKeyRef(Document):
    """One key of a Secret in a namespace."""

    namespace: str = Field(min_length=1, max_length=63, description="Namespace of the Secret.")
    name: str = Field(min_length=1, max_length=253, description="Name of the Secret.")
    key: str = Field("license", min_length=1, max_length=253, description="Key within the Secret.")


class VideoLicenseSpec(Document):
    """Where the signed document is."""

    secret_ref: NamespacedSecretKeyRef = Field(description="Secret that holds the signed licence.")


class VideoLicenseStatus(Document):
    """What the licence says and how much of it is used."""

    observed_generation: int = Field(0, ge=0, description="Generation of the spec that this is about.")
    licensee: str | None = Field(None, description="Who may use it.")
    max_streams: int | None = Field(None, ge=0, description="Streams that may run at once.")
    used_streams: int = Field(0, ge=0, description="Streams that hold a slot.")
    features: Features = Field(default_factory=list, description="Steps that streams may use; none: every step.")
    count_recorded: bool | None = Field(None, description="Whether recorded files take a slot, too.")
    not_before: Time | None = Field(None, description="Valid from.")
    expires: Time | None = Field(None, description="Valid until.")
    grace_ends: Time | None = Field(None, description="Until then streams start although the licence has expired.")
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Valid, with the reasons Verified, InGracePeriod, Missing, BadSignature, NotYetValid, Expired, "
        "ClockRolledBack.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )


class LicenseDocument(Document):
    """The signed payload."""

    licensee: str = Field(min_length=1, max_length=253, description="Who may use it.")
    max_streams: int = Field(ge=0, le=1000000, description="Streams that may run at once.")
    features: Features = Field(
        default_factory=list,
        description="Steps (spec.analytics[].steps[].model) that streams may use; none: every step.",
    )
    count_recorded: bool = Field(True, description="Whether recorded files take a slot, too.")
    not_before: Time = Field(description="Valid from, RFC 3339.")
    expires: Time = Field(description="Valid until, RFC 3339.")
    grace_days: float = Field(
        0, ge=0, le=LONGEST_GRACE, description="Days after `expires` in which streams still start."
    )

    @field_validator("not_before", "expires")
    @classmethod
    def _is_a_time(cls, value: str) -> str:
        parse_time(value)
        return value
