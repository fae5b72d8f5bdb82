"""From a job to the request for its source. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import JobSource, JobSpec
from videofleet_api.source import LIVE_SCHEMES, Range, RangeUnit, Rotation, SourceKind
from videofleet_archive.acquire import ResumePoint
from videofleet_worker.decode.part import Part
from videofleet_worker.decode.sampling import Sampling
from videofleet_worker.pipeline.regions import masks
from videofleet_worker.pipeline.stepplan import RefusedError
from videofleet_worker.sources.events import SourceInfo
from videofleet_worker.sources.request import SourceRequest

TURNS: Final[dict[Rotation, Literal[0, 90, 180, 270] | None]] = {
    Rotation.AUTO: None,
    Rotation.NONE: 0,
    Rotation.RIGHT: 90,
    Rotation.OVER: 180,
    Rotation.LEFT: 270,
}
"""Degrees, None as the container says."""


def whole(source: JobSource, model_size: tuple[int, int]) -> SourceRequest:
    """Every frame of a source, as it is. Raises ValueError."""
    return SourceRequest(
        url=source.url,
        images=tuple(source.images),
        username=source.username,
        password=source.password,
        session_token=source.session_token,
        transport=source.transport.value,
        kind=source.kind.value,
        rotation=TURNS[source.rotation],
        model_size=model_size,
    )


def source_request(spec: JobSpec, model_size: tuple[int, int], resumes: Sequence[ResumePoint | None]) -> SourceRequest:
    """What to decode: all of it, or what follows the results that every analytics has. Raises RefusedError."""
    resume = _resume_frame(spec, resumes)
    resumed = resume is not None or not any(resumes)
    try:
        return replace(
            whole(spec.source, model_size),
            part=_part(spec.range),
            sampling=Sampling(spec.sampling.mode.value, spec.sampling.value, spec.sampling.decode.value),
            # Where the source begins anew, it cannot know which frames count; the run does.
            max_frames=frames_left(spec.max_frames, resumes) if resumed else None,
            resume_after_frame=resume,
            masks=masks(spec),
        )
    except ValueError as error:
        raise RefusedError(ErrorCode.BAD_PARAMETER, str(error)) from error


def _part(given: Range | None) -> Part | None:
    return Part(given.start, given.end, given.unit.value) if given is not None else None


def is_live(spec: JobSpec) -> bool:
    """Whether the source is live for certain; False where only opening it can tell."""
    if spec.source.kind is SourceKind.AUTO:
        return spec.source.url.lower().partition("://")[0] in LIVE_SCHEMES
    return spec.source.kind is SourceKind.LIVE


def frames_left(max_frames: int | None, resumes: Sequence[ResumePoint | None]) -> int | None:
    """How many frames the run may still analyse, 0 when it has had all; None without a limit."""
    if max_frames is None:
        return None
    return max(0, max_frames - min(one.sidecar.processed_frames if one else 0 for one in resumes))


def source_info_before(resume: ResumePoint) -> SourceInfo:
    """What earlier epochs knew of a recorded source, for a run that needs no more of it."""
    last = resume.last.stream_info
    return SourceInfo(live=False, fps=last.fps, width=0, height=0, codec="", total_frames=last.total_frames)


def _resume_frame(spec: JobSpec, resumes: Sequence[ResumePoint | None]) -> int | None:
    """The last frame that every analytics has told about. None for a source that may be live: its frames are counted
    from 0 again, and those up to any number would be left out."""
    known = [one for one in resumes if one is not None]
    if is_live(spec) or len(known) < len(resumes):
        return None
    has_end = spec.source.kind is SourceKind.RECORDED or known[0].last.stream_info.total_frames is not None
    return min(one.sidecar.frame_index for one in known) if has_end else None


def no_frame(part: Range | None, info: SourceInfo | None) -> str:
    """Why a source that came to its end had no frame for the job."""
    if part is None or info is None:
        return "the source ended without a frame"
    counted = part.unit is RangeUnit.FRAMES
    length, unit = (info.total_frames, "frames") if counted else (info.duration, "s")
    if length is None or part.start < length:
        return "the source ended without a frame in its range"
    return f"range.start is {part.start:g}, and the source has {round(length, 1):g} {unit}: begin before its end"
