"""Settings of a worker process, from its environment."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from videofleet_api.environment import settings_in
from videofleet_api.names import WORKER_API_PORT, WORKER_PLAIN_PORT
from videofleet_api.outputs import OutputPolicy
from videofleet_api.protocol import MAX_CAPACITY
from videofleet_api.source import SourcePolicy
from videofleet_archive.location import USUAL_REGION


class Settings(BaseModel):
    """Each field is the variable VIDEOFLEET_<NAME>; an empty variable counts as absent."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    worker_id: str = Field(default_factory=socket.gethostname, min_length=1, max_length=253)
    """Who the worker is to the operator; the name of its pod."""
    capacity: int = Field(1, ge=1, le=MAX_CAPACITY)
    """Slots that the worker offers; it reports them, and shares its memory among so many decoders."""
    execution_provider: Literal["auto", "tensorrt", "cuda", "cpu"] = "auto"
    """What inference should run on."""
    archive: str = "/archive"
    """Folder of the archive, or s3://BUCKET/PREFIX."""
    archive_endpoint: str | None = None
    """Address of the store that has the bucket; without it Amazon's."""
    archive_region: str = USUAL_REGION
    archive_credentials: Path = Path("/archive-credentials")
    """Folder with the credentials for the bucket, a file each."""
    tls_dir: Path = Path("/tls")
    """Folder with tls.crt, tls.key and ca.crt."""
    models: tuple[Path, ...] = ()
    """Folders with models besides those that come with the worker, separated by colons."""
    media: tuple[Path, ...] = ()
    """Folders below which sources may be files, separated by colons."""
    source_policy: SourcePolicy = SourcePolicy()
    """Where sources may be, as JSON."""
    model_digests: dict[Path, str] = Field(default_factory=dict)
    """Digest of the one model in a folder of `models`, as FOLDER=DIGEST, separated by commas."""
    output_policy: OutputPolicy = OutputPolicy()
    """Where results may be posted to, as JSON."""
    scratch: Path = Path("/tmp")
    """Folder for what may be lost: engines built for a GPU."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    listen: str | None = None
    """Address to listen on; without it all."""
    api_port: int = Field(WORKER_API_PORT, ge=0, le=65535)
    plain_port: int = Field(WORKER_PLAIN_PORT, ge=0, le=65535)
    grace_seconds: float = Field(25, gt=0, le=3600)
    """Seconds after SIGTERM until the worker must have ended."""

    @field_validator("models", "media", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part for part in value.split(":") if part) if isinstance(value, str) else value

    @field_validator("source_policy", mode="before")
    @classmethod
    def _parsed(cls, value: object) -> object:
        return SourcePolicy.model_validate_json(value) if isinstance(value, str) else value

    @field_validator("output_policy", mode="before")
    @classmethod
    def _parsed_outputs(cls, value: object) -> object:
        return OutputPolicy.model_validate_json(value) if isinstance(value, str) else value

    @field_validator("model_digests", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        return dict(pair.partition("=")[::2] for pair in value.split(",")) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in an environment. Raises ConfigError."""
    return settings_in(environ, Settings)
