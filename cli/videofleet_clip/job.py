"""What a worker would be given for this clip. Pure."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from videofleet_api.outputs import ArchiveDetail
from videofleet_api.protocol import Entry, JobSource, JobSpec
from videofleet_api.source import Range, Source
from videofleet_api.steps import Analytics, Step, StepParameters
from videofleet_api.videojob import Sampling, SamplingMode, VideoJobSpec
from videofleet_clip.errors import ClipError
from videofleet_clip.video import Video
from videofleet_worker.jobs.assignments import Job

_NAME: Final = "main"
USUAL_STEPS: Final = ("detect", "track")
_KEEP_ALL: Final = 2**50
"""Bytes of results that a live source may leave: as many as the disk takes."""
_TIME: Final = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)")
"""Seconds, M:SS or H:MM:SS."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options say; None where they say nothing."""

    steps: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    confidence: float | None = None
    fps: float | None = None
    part: Range | None = None
    max_frames: int | None = None


def make_job(video: Video, wanted: Wanted, manifest: VideoJobSpec | None = None, *, as_written: bool = False) -> Job:
    """The job of a clip: what a manifest says, with what the options say instead.

    `as_written`: the video is the manifest's own source; else all that this says of its source is about another one.
    """
    base = manifest or VideoJobSpec(source=Source(), analytics=[Analytics(name=_NAME, steps=_steps(USUAL_STEPS))])
    spec = JobSpec(
        source=_source(video, base.source if as_written else Source()),
        sampling=base.sampling if wanted.fps is None else Sampling(mode=SamplingMode.FPS, value=wanted.fps),
        range=wanted.part or base.range,
        max_frames=wanted.max_frames or base.max_frames,
        analytics=_analytics(base.analytics, wanted),
        zones=base.zones,
        lines=base.lines,
        privacy_masks=base.privacy_masks,
        single_pass=True,
        reconnect_window=base.restart.reconnect_window,
        archive_detail=ArchiveDetail.FRAMES,
        archive_max_bytes=_KEEP_ALL,
    )
    uid = uuid.uuid4().hex
    entry = Entry(uid=uid, namespace="local", name=video.name, run=1, epoch=1, digest="")
    return Job(entry, spec)


def steps_of(text: str) -> tuple[str, ...]:
    """`detect,track` as names of steps. Raises ClipError."""
    return _names("--steps", text, "detect,track")


def classes_of(text: str) -> tuple[str, ...]:
    """`person,car` as names of classes. Raises ClipError."""
    return _names("--classes", text, "person,car")


def _names(option: str, text: str, example: str) -> tuple[str, ...]:
    names = tuple(each.strip() for each in text.split(","))
    if not all(names):
        raise ClipError(f"{option} {text}: give names with commas between them, for example {example}")
    return names


def part_of(text: str) -> Range:
    """`10-20`, `1:00-1:30`, `10-` or `-20` as a part of the video. Raises ClipError."""
    start, dash, end = text.partition("-")
    if not dash or not (start or end):
        raise ClipError(f"--range {text}: give START-END in seconds or as M:SS, for example 10-20, 1:00-1:30 or 90-")
    found = Range(start=_seconds(text, start) if start else 0.0, end=_seconds(text, end) if end else None)
    if found.end is not None and found.end <= found.start:
        raise ClipError(f"--range {text}: it must end after its beginning")
    return found


def _seconds(option: str, text: str) -> float:
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise ClipError(f"--range {option}: {text!r} is no time: give seconds, M:SS or H:MM:SS")
    hours, minutes, seconds = found.groups()
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds)


def _source(video: Video, source: Source) -> JobSource:
    return JobSource(
        url=video.url,
        username=video.username,
        password=video.password,
        transport=source.transport,
        kind=source.kind,
        images=source.images or [],
        rotation=source.rotation,
    )


def address_in(manifest: VideoJobSpec, username: str | None) -> str | None:
    """The address in a manifest; None where it has pictures instead.

    Raises ClipError where it lies in a Secret, or where a Secret would be needed to open it.
    """
    source = manifest.source
    if source.url_secret_ref is not None:
        raise ClipError("spec.source.urlSecretRef: there are no Secrets here: give the address as VIDEO")
    if source.credentials_secret_ref is not None and username is None:
        raise ClipError(
            "spec.source.credentialsSecretRef: there are no Secrets here: give --user NAME, and the password in the "
            "variable VIDEOFLEET_PASSWORD"
        )
    return source.url


def _analytics(base: Sequence[Analytics], wanted: Wanted) -> list[Analytics]:
    if wanted.steps is not None:
        base = [Analytics(name=base[0].name, steps=_steps(wanted.steps))]
    given: dict[str, object] = {
        "classes": list(wanted.classes) if wanted.classes else None,
        "confidence": wanted.confidence,
    }
    update = {name: value for name, value in given.items() if value is not None}
    return [_with_parameters(each, update) for each in base] if update else list(base)


def _with_parameters(analytics: Analytics, update: dict[str, object]) -> Analytics:
    """The analytics with other parameters of its first step, which finds what all others look at."""
    first, *others = analytics.steps
    parameters = (first.parameters or StepParameters.model_validate({})).model_copy(update=update)
    return analytics.model_copy(update={"steps": [first.model_copy(update={"parameters": parameters}), *others]})


def _steps(names: Sequence[str]) -> list[Step]:
    return [Step(model=name) for name in names]
