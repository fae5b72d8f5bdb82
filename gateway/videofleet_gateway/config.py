"""Settings of the gateway, from its environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from videofleet_api.environment import CommaList, settings_in
from videofleet_api.outputs import OutputPolicy
from videofleet_api.source import SourcePolicy
from videofleet_api.steps import Analytics, Step
from videofleet_archive.location import USUAL_REGION

SOURCE_SCHEMES: Final = ("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "s3")
"""Of sources, unless their policy names others: the rest of what a job may name leads into the worker itself."""
_MIB = 1024 * 1024


def _json(value: object) -> object:
    return orjson.loads(value) if isinstance(value, str) else value


class Config(BaseModel):
    """Settings; each is the environment variable VIDEOFLEET_ plus the name in capitals."""

    model_config = ConfigDict(frozen=True)

    namespaces: CommaList = Field((), description="Namespaces whose VideoJobs are served; none: all.")
    listen_host: str = "0.0.0.0"
    v_port: int = Field(8080, ge=0, le=65535, description="The hosted video API (V).")
    ui: bool = Field(True, description="Serve the page for people, /ui on the port of V.")
    v_requests_per_minute: int = Field(60, ge=1, le=100000, description="Of each project.")
    v_open_streams: int = Field(256, ge=1, le=100000, description="Of each project at this replica.")
    source_policy: Annotated[SourcePolicy, BeforeValidator(_json)] = Field(
        SourcePolicy(schemes=list(SOURCE_SCHEMES)),
        description="Where sources of requests may be, in JSON as in a WorkerPool; workers keep to that of their pool. "
        "Without schemes those of the default.",
    )
    output_policy: Annotated[OutputPolicy, BeforeValidator(_json)] = Field(
        OutputPolicy(), description="Where requests may have results posted to, as source_policy."
    )
    f_port: int = Field(18810, ge=0, le=65535, description="The interface of FindFace video-manager (F).")
    f_anonymous_namespace: str = Field(
        "", description="Where F acts for those who show no key; empty: they are turned away."
    )
    f_requests_per_minute: int = Field(
        0, ge=0, le=100000, description="Of each project; 0: as many as it likes, as clients of F are used to."
    )
    f_adopt_foreign: bool = Field(False, description="F may change and delete jobs that were not made through it.")
    f_analytics: Annotated[list[Analytics], BeforeValidator(_json)] = Field(
        [Analytics(steps=[Step(model="detect"), Step(model="track")])],
        min_length=1,
        description="What is done with the streams of F's jobs, in JSON as in a VideoJob.",
    )
    f_settings_file: Path | None = Field(
        None, description="A video-manager.yaml; its stream_settings lie under those of jobs."
    )
    public_url: str = Field(
        "",
        pattern="^(https?://[^/?#@ ]+(/[^?# ]*)?)?$",
        description="Where clients reach F, for the addresses of views; empty: as their requests say it.",
    )
    staging_url: str = Field(
        "",
        pattern="^(https?://[^/?#@ ]+)?$",
        description="Where workers reach V, to fetch videos that came in requests; empty: none are taken.",
    )
    worker_tls: Path | None = Field(
        None, description="Folder with tls.crt, tls.key and ca.crt, with which workers show pictures; none: no views."
    )
    plain_port: int = Field(8090, ge=0, le=65535, description="Health and metrics.")
    database_url: str = Field(
        "sqlite+aiosqlite:////data/gateway.db",
        pattern=r"^(sqlite\+aiosqlite|postgresql\+asyncpg)://",
        repr=False,
        description="sqlite+aiosqlite:///PATH, or postgresql+asyncpg://USER:PASSWORD@HOST/NAME for several replicas.",
    )
    archive: str = Field(
        "/archive", min_length=1, description="The archive that workers write to: a folder, or s3://BUCKET/PREFIX."
    )
    archive_endpoint: str | None = Field(None, description="The store that has the bucket; without it Amazon's.")
    archive_region: str = USUAL_REGION
    archive_credentials: Path = Field(
        Path("/archive-credentials"), description="Folder with the credentials for the bucket, a file each."
    )
    max_body_bytes: int = Field(_MIB, ge=1024, le=1024 * _MIB, description="Of a request without a video in it.")
    max_upload_bytes: int = Field(64 * _MIB, ge=1024, le=1024 * _MIB, description="Of a video that comes in a request.")
    max_pictures: int = Field(8, ge=1, le=1000, description="Single pictures that may be at work at once.")
    max_requests: int = Field(4096, ge=1, le=100000, description="Requests that may be open at once, streams included.")
    max_streams: int = Field(2048, ge=1, le=100000, description="Streams of results that may be open at once.")
    max_connections: int = Field(8192, ge=1, le=1000000, description="That may be open at once, on all ports.")
    send_timeout: float = Field(
        60, gt=0, le=3600, description="Seconds for which a client may leave what is sent, or send nothing of a body."
    )
    drain_seconds: float = Field(
        5, ge=0, le=3600, description="Between the end of readiness and the end of open streams, when told to stop."
    )
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")


def load(environment: Mapping[str, str] | None = None) -> Config:
    """The settings in the environment. Raises ConfigError."""
    return settings_in(environment, Config)
