"""What a source is like, found by opening it for a moment: `POST /v1/probe` of a worker, and of the operator.

The worker opens the source as it would for a job: in a confined process, with the pool's policy.
"""

from typing import Annotated, Final

from pydantic import Field

from videofleet_api.codes import ErrorCode
from videofleet_api.model import Document
from videofleet_api.protocol import MAX_COUNT, Count, JobSource, Message, Rate
from videofleet_api.source import Source

LONGEST_PROBE: Final = 30.0
"""Seconds."""
USUAL_PROBE: Final = 15.0
_Timeout = Annotated[float, Field(ge=1, le=LONGEST_PROBE, allow_inf_nan=False)]
_Span = Annotated[float, Field(ge=0, le=MAX_COUNT, allow_inf_nan=False)]
"""Seconds."""
_Name = Annotated[str, Field(max_length=64)]


class ProbeRequest(Document):
    """Operator to worker. Never logged: holds credentials."""

    source: JobSource
    timeout: _Timeout = USUAL_PROBE


class ProbeReport(Document):
    """Worker to operator: what was found. What is not known is left out."""

    works: bool
    """At least one frame was decoded."""
    code: ErrorCode | None = None
    message: Message | None = None
    """Why it does not work, or what ended it after frames had come."""
    live: bool | None = None
    codec: _Name | None = None
    width: Count | None = None
    height: Count | None = None
    announced_fps: Rate | None = None
    measured_fps: Rate | None = None
    keyframe_interval: _Span | None = None
    """Mean seconds between keyframes; None where fewer than two came."""
    bit_rate: _Span | None = None
    """Bits a second of the video, as measured."""
    duration: _Span | None = None
    audio: _Name | None = None
    """Its codec; None where there is none."""
    first_frame_seconds: _Span | None = None
    """From the beginning until a frame was decoded."""
    frames: Count = 0
    """Decoded while it was looked at."""


class ProbeQuestion(Document):
    """To the operator: either the source of a job, or a source as it would stand in one.

    Who asks shows with uids what he may read: that of the VideoJob, or those of the WorkerPool that is to look and of
    the Secret that the source names.
    """

    job: str | None = None
    """uid of a VideoJob."""
    pool: str | None = None
    """uid of a WorkerPool; with a job only where another than its own is to look."""
    source: Source | None = None
    namespace: str | None = None
    """Of the Secret that the source names."""
    secret: str | None = None
    """uid of that Secret."""
    timeout: _Timeout = USUAL_PROBE


class ProbeAnswer(Document):
    """The operator's answer."""

    worker: str
    """Pod that looked."""
    pool: str
    """NAMESPACE/NAME."""
    report: ProbeReport
