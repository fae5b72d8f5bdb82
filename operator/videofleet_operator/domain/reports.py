"""What workers say of their jobs, kept small: a fleet has one for each of its streams."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from videofleet_api.codes import ErrorCode, OutputHealth, SourceHealth
from videofleet_api.protocol import JobProgress, JobReport, JobState

_NONE: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters of one (uid, epoch), as protocol.JobProgress."""

    decoded_frames: int = 0
    processed_frames: int = 0
    total_frames: int | None = None
    dropped_frames: Mapping[str, int] = field(default_factory=lambda: _NONE)
    source_fps: float | None = None
    processed_fps: float | None = None
    last_frame_time: float | None = None
    objects_posted: int | None = None
    objects_not_posted: int | None = None
    outputs: OutputHealth | None = None
    outputs_message: str | None = None

    @classmethod
    def of(cls, told: JobProgress) -> Counters:
        """What a worker has counted."""
        return cls(
            told.decoded_frames,
            told.processed_frames,
            told.total_frames,
            told.dropped_frames or _NONE,
            told.source_fps,
            told.processed_fps,
            told.last_frame_time,
            told.objects_posted,
            told.objects_not_posted,
            told.outputs,
            None if told.outputs_message is None else sys.intern(told.outputs_message),
        )


NOTHING: Final = Counters()


@dataclass(frozen=True, slots=True)
class Report:
    """The phase facts of one (uid, epoch), as protocol.JobReport."""

    uid: str
    epoch: int
    state: JobState
    settings: str | None = None
    first_frame: bool = False
    first_frame_time: float | None = None
    code: ErrorCode | None = None
    message: str | None = None
    progress: Counters = NOTHING
    health: SourceHealth | None = None
    health_message: str | None = None

    @classmethod
    def of(cls, told: JobReport) -> Report:
        """What a worker has said."""
        return cls(
            told.uid,
            told.epoch,
            told.state,
            told.settings,
            told.first_frame,
            told.first_frame_time,
            told.code,
            told.message,
            Counters.of(told.progress),
            told.health,
            # Of most sources the same.
            None if told.health_message is None else sys.intern(told.health_message),
        )
