"""The frames of a source with what the models say about them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from videofleet_worker.decode.frame import Frame
from videofleet_worker.models.batching import InferenceEngine
from videofleet_worker.models.detections import Detections
from videofleet_worker.pipeline.flow import every_frame, newest_frame
from videofleet_worker.pipeline.plan import Inference, Plan
from videofleet_worker.sources.stream import StreamSource


@dataclass(frozen=True, slots=True)
class Answers:
    """What the models say about a frame, and the plan by which they were asked."""

    plan: Plan
    found: Mapping[tuple[str, float], Detections]
    """By the `key` of each inference of the plan."""


_WINDOW: Final = 3
"""Frames of a recorded source at work at a time: one in inference, one ready, one being decoded."""


async def answered_frames(
    source: StreamSource,
    plan: Callable[[], Plan],
    engines: Mapping[str, InferenceEngine],
    uid: Hashable,
    dropped: Callable[[], None],
) -> AsyncGenerator[tuple[Frame, Answers], None]:
    """Every frame in order for a recorded source, always the newest for a live one. The receiver releases them.

    `plan` is asked anew for each frame: settings change while a stream runs.

    Raises SourceError, InferenceError and EngineClosedError.
    """

    async def ask(frame: Frame) -> Answers:
        asked = plan()
        return Answers(asked, await _ask_all(frame, asked.inferences, engines, uid))

    delivered = aiter(source.frames())
    first = await anext(delivered, None)
    if first is None:
        return
    frames = _chained(first, delivered)
    # Only an open source knows whether it is live.
    live = source.info is not None and source.info.live
    answered = newest_frame(frames, ask, dropped) if live else every_frame(frames, ask, _WINDOW)
    async with aclosing(frames), aclosing(answered):
        async for pair in answered:
            yield pair


async def _chained(first: Frame, following: AsyncIterator[Frame]) -> AsyncGenerator[Frame, None]:
    yield first
    async for frame in following:
        yield frame


async def _ask_all(
    frame: Frame, inferences: tuple[Inference, ...], engines: Mapping[str, InferenceEngine], uid: Hashable
) -> Mapping[tuple[str, float], Detections]:
    found = await asyncio.gather(
        *(engines[one.model.name].detect((uid, one.key), frame.tensor, one.query) for one in inferences)
    )
    return {one.key: detections for one, detections in zip(inferences, found, strict=True)}
