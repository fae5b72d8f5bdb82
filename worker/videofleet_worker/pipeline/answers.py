"""The frames of a source with what the models say about them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from videofleet_worker.decode.frame import Frame
from videofleet_worker.models.detections import Detections
from videofleet_worker.pipeline.findings import Findings
from videofleet_worker.pipeline.flow import every_frame, newest_frame
from videofleet_worker.pipeline.pace import Pace, paced
from videofleet_worker.pipeline.plan import Inference, Plan
from videofleet_worker.pipeline.regions import outside
from videofleet_worker.pipeline.steps import Workshop, look_closer
from videofleet_worker.sources.clock import SystemClock
from videofleet_worker.sources.stream import StreamSource

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answers:
    """What the models say about a frame, and the plan by which they were asked."""

    plan: Plan
    findings: Mapping[str, Findings]
    """By the name of each analytics of the plan."""


_WINDOW: Final = 4
"""Frames of a recorded source at work at a time: two in inference beside each other, and one ready for each."""

_TOGETHER: Final = 2
"""Of these, how many are told right after each other."""


async def answered_frames(
    source: StreamSource,
    plan: Callable[[], Plan],
    shop: Workshop,
    speed: float | None = None,
) -> AsyncGenerator[tuple[Frame, Answers], None]:
    """Every frame in order for a recorded source, at most `speed` times as fast as it plays; always the newest for a
    live one. The receiver releases them.

    `plan` is asked anew for each frame: settings change while a stream runs.

    Raises SourceError, InferenceError and EngineClosedError.
    """

    async def ask(frame: Frame) -> Answers:
        asked = plan()
        return Answers(asked, await look_at(shop, frame, asked))

    delivered = aiter(source.frames())
    try:
        frames = _chained([await anext(delivered)], delivered)
    except StopAsyncIteration:
        return
    # Only an open source knows whether it is live.
    live = source.info is not None and source.info.live
    turns = shop.engines.turns
    if live:
        answered = newest_frame(frames, ask, turns, source.counters.drop)
    elif speed is not None:
        # One by one: an answer is told before the next frame is waited for.
        frames = paced(frames, Pace(speed, SystemClock()))
        answered = every_frame(frames, ask, turns, 1)
    else:
        answered = every_frame(frames, ask, turns, _WINDOW, _TOGETHER)
    async with aclosing(frames), aclosing(answered):
        async for pair in answered:
            yield pair


async def _chained(first: list[Frame], following: AsyncIterator[Frame]) -> AsyncGenerator[Frame, None]:
    # Taken out, so that nothing here remembers it: a frame keeps the memory of its whole connection.
    yield first.pop()
    async for frame in following:
        yield frame


async def look_at(shop: Workshop, frame: Frame, plan: Plan) -> Mapping[str, Findings]:
    """What each analytics of the plan finds in a frame, which must be held meanwhile.

    Raises InferenceError and EngineClosedError.
    """
    found = await _together([_ask(shop, frame, plan, one) for one in plan.inferences])
    answers = {one.key: outside(plan.masks, seen) for one, seen in zip(plan.inferences, found, strict=True)}
    findings = await _together([look_closer(shop, frame, one, answers[one.inference_key]) for one in plan.analytics])
    return {one.name: each for one, each in zip(plan.analytics, findings, strict=True)}


async def _together(questions: Sequence[Coroutine[Any, Any, T]]) -> Sequence[T]:
    """All answers. A single question, as most jobs have, is asked without a task of its own: that costs a frame two
    turns of the loop."""
    if len(questions) == 1:
        return [await questions[0]]
    return await asyncio.gather(*questions)


async def _ask(shop: Workshop, frame: Frame, plan: Plan, one: Inference) -> Detections:
    """What a model finds in the whole frame; boxes as shares of it."""
    engine = shop.engines.detector(one.model.name)
    if frame.tensor is not None and plan.takes_tensor(one.model):
        return await engine.ask(shop.uid, frame.tensor, one.query, lane=one.key)
    whole = (0.0, 0.0, float(frame.width), float(frame.height))
    (crop,) = await shop.cut(frame, [whole], one.model)
    if crop is None:
        return Detections.none()
    found = await engine.ask(shop.uid, crop.image, one.query, lane=one.key)
    return Detections(crop.placement.in_shares(found.boxes, frame.width, frame.height), found.scores, found.classes)
