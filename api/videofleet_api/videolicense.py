"""VideoLicense: where the signed licence is, and what it says."""

from pydantic import Field

from videofleet_api.conditions import Condition
from videofleet_api.model import Document
from videofleet_api.videojob import Time


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
    not_before: Time | None = Field(None, description="Valid from.")
    expires: Time | None = Field(None, description="Valid until.")
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Valid, with the reasons Verified, Missing, BadSignature, NotYetValid, Expired.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )


class LicenseDocument(Document):
    """The signed payload."""

    licensee: str = Field(min_length=1, max_length=253, description="Who may use it.")
    max_streams: int = Field(ge=0, le=1000000, description="Streams that may run at once.")
    not_before: Time = Field(description="Valid from, RFC 3339.")
    expires: Time = Field(description="Valid until, RFC 3339.")
