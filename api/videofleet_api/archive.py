"""Where the workers of a pool keep results."""

from pydantic import Field

from videofleet_api.model import Document
from videofleet_api.rules import rules
from videofleet_api.source import SecretRef


class ArchiveBucket(Document):
    """A bucket of S3 or of a store that speaks its protocol."""

    model_config = rules(
        (
            "!has(self.endpoint) || self.endpoint.matches('^https?://([^/?#@:]+|[[][0-9a-fA-F:.]+[]])(:[0-9]{1,5})?/?$')",
            "endpoint must be the address of a store alone, such as https://HOST or http://HOST:PORT",
        ),
        (
            "!has(self.prefix) || self.prefix == '' || self.prefix.matches('^[0-9A-Za-z._-]+(/[0-9A-Za-z._-]+)*$')",
            "prefix must be names of letters, digits, dots, dashes and underscores, joined by slashes",
        ),
    )

    bucket: str = Field(
        min_length=3, max_length=63, pattern=r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$", description="Its name; it must exist."
    )
    prefix: str = Field("", max_length=512, description="Results lie below it; empty: they lie at the top.")
    endpoint: str | None = Field(
        None, min_length=1, max_length=512, description="Address of the store; without it Amazon's of the region."
    )
    region: str = Field("us-east-1", min_length=1, max_length=63, pattern=r"^[a-z0-9-]+$", description="Its region.")
    credentials_secret_ref: SecretRef = Field(
        description="Secret in the pool's namespace with accessKeyId and secretAccessKey; and if need be sessionToken, "
        "and in ca.crt the certificates (PEM) that the store's is checked against. It is read again when it changes."
    )


class ArchiveVolume(Document):
    """Where results are written to."""

    model_config = rules(("has(self.claimName) != has(self.s3)", "results are kept in a claimName or in s3: give one"))

    claim_name: str | None = Field(
        None,
        min_length=1,
        max_length=253,
        description="PersistentVolumeClaim in the pool's namespace; all workers mount it.",
    )
    s3: ArchiveBucket | None = Field(
        None, description="A bucket; a store that does not refuse a second object under one key is refused."
    )
