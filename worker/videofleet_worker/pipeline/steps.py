"""The steps behind the first: each looks at objects that were found in a frame, and finds or says more."""

import asyncio
import base64
from collections.abc import Hashable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from videofleet_worker.decode.frame import Frame
from videofleet_worker.device.placement import Box
from videofleet_worker.models.batching import InferenceEngine
from videofleet_worker.models.describing import Guess
from videofleet_worker.models.detections import Detections, FloatArray
from videofleet_worker.models.engines import Engines
from videofleet_worker.models.nms import suppress
from videofleet_worker.models.registry import Model
from videofleet_worker.pipeline.crops import Crop, cut, cut_on_device
from videofleet_worker.pipeline.findings import Findings, matching, own_detections
from videofleet_worker.pipeline.plan import AnalyticsPlan
from videofleet_worker.pipeline.stepplan import LaterStep

Query = TypeVar("Query")
Answer = TypeVar("Answer")
Boxes = npt.NDArray[np.floating[Any]]
_LINE_OVERLAP: Final = 0.5
"""Of the lower line's height: lines of text that share more stand beside each other."""


@dataclass(frozen=True)
class Workshop:
    """What steps work with: the models, threads that cut pictures, and whose frames these are."""

    engines: Engines
    threads: Executor
    uid: Hashable

    async def cut(self, frame: Frame, regions: Sequence[Box], model: Model) -> list[Crop | None]:
        """The parts of a frame as a model takes them; None for one outside it."""
        wanted = model.manifest.input
        if frame.picture is not None and self.engines.on_device(model.name):
            return [cut_on_device(frame.picture, region, wanted) for region in regions]

        def cut_all() -> list[Crop | None]:
            return [
                cut(frame.planes, region, wanted, full_range=frame.full_range, matrix=frame.matrix)
                for region in regions
            ]

        return await asyncio.get_running_loop().run_in_executor(self.threads, cut_all)

    async def ask(
        self, engine: InferenceEngine[Query, Answer], crops: Sequence[Crop], query: Query
    ) -> Sequence[Answer]:
        """What a model says about each of these. Any of them may share a batch."""
        return await asyncio.gather(
            *(engine.ask(self.uid, crop.image, query, lane=number) for number, crop in enumerate(crops))
        )


async def look_closer(shop: Workshop, frame: Frame, plan: AnalyticsPlan, found: Detections) -> Findings:
    """What the analytics makes of a frame in which its first step found these. The frame must be held meanwhile.

    Raises InferenceError and EngineClosedError.
    """
    scene = _Scene(frame, own_detections(plan, found), plan.wanted.confidence, plan.looks)
    trackable: int | None = None
    for number, step in enumerate(plan.later):
        if number == plan.track_at:
            trackable = len(scene.detections)
        await _TAKEN[step.kind](shop, scene, step)
    return Findings(scene.detections, scene.details, scene.parents, trackable, scene.looks)


@dataclass
class _Scene:
    """The objects of a frame while the steps go over them. Weaker ones than `least` are for the tracker alone."""

    frame: Frame
    detections: Detections
    least: float
    looks_by: str | None
    """The embedding model whose vectors the tracker compares."""
    looks: dict[int, FloatArray] = field(default_factory=dict)
    details: dict[int, dict[str, object]] = field(default_factory=dict)
    parents: dict[int, int] = field(default_factory=dict)
    found_by_first: int = field(init=False)

    def __post_init__(self) -> None:
        self.found_by_first = len(self.detections)

    def rows(self, step: LaterStep) -> list[int]:
        """The objects that a step looks at."""
        mask = matching(step.when, self.detections)
        mask[: self.found_by_first] &= self.detections.scores[: self.found_by_first] >= self.least
        return [int(row) for row in np.flatnonzero(mask)]

    def regions(self, rows: Sequence[int]) -> list[Box]:
        """The boxes of objects in pixels of the frame."""
        boxes = self.detections.select(np.array(rows, np.int64)).scaled(self.frame.width, self.frame.height)
        return [(box[0], box[1], box[2], box[3]) for box in boxes.tolist()]

    def tell(self, row: int, **fields: object) -> None:
        """Say more about an object."""
        self.details.setdefault(row, {}).update(fields)


async def _crops(shop: Workshop, scene: _Scene, step: LaterStep) -> tuple[list[int], list[Crop]]:
    """The objects that a step looks at, those without area left out, and their pictures."""
    rows = scene.rows(step)
    if not rows:
        return [], []
    crops = await shop.cut(scene.frame, scene.regions(rows), step.model)
    kept = [(row, crop) for row, crop in zip(rows, crops, strict=True) if crop is not None]
    return [row for row, _ in kept], [crop for _, crop in kept]


async def _detect(shop: Workshop, scene: _Scene, step: LaterStep) -> None:
    """Find objects inside others. One that is seen in two of them counts once, in the one where it is clearer."""
    assert step.query is not None, "plan_steps gives a detection one"
    rows, crops = await _crops(shop, scene, step)
    answers = await shop.ask(shop.engines.detector(step.model.name), crops, step.query)
    if not any(len(one) for one in answers):
        return
    width, height = scene.frame.width, scene.frame.height
    found = Detections(
        np.concatenate(
            [crop.placement.in_shares(one.boxes, width, height) for one, crop in zip(answers, crops, strict=True)]
        ),
        np.concatenate([one.scores for one in answers]),
        np.concatenate([one.classes for one in answers]),
    )
    parents = np.repeat(rows, [len(one) for one in answers])
    kept = suppress(found.boxes, found.scores, found.classes, min(step.query.iou, _SEEN_TWICE))
    first = len(scene.detections)
    classes = np.array(step.classes, np.int64)[found.classes[kept]]
    scene.detections = Detections(
        np.concatenate([scene.detections.boxes, found.boxes[kept]]),
        np.concatenate([scene.detections.scores, found.scores[kept]]),
        np.concatenate([scene.detections.classes, classes]),
    )
    scene.parents |= {first + number: int(parents[one]) for number, one in enumerate(kept)}


_SEEN_TWICE: Final = 0.5
"""Boxes of a class that overlap more than this, found in two objects, are one."""


async def _embed(shop: Workshop, scene: _Scene, step: LaterStep) -> None:
    rows, crops = await _crops(shop, scene, step)
    for row, vector in zip(rows, await shop.ask(shop.engines.embedder(step.model.name), crops, None), strict=True):
        scene.tell(row, feature=written_vector(vector))
        if step.model.name == scene.looks_by:
            scene.looks[row] = vector


def written_vector(vector: FloatArray) -> str:
    """A vector as it is told: base64 of its numbers as float32, the lowest byte first."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


async def _classify(shop: Workshop, scene: _Scene, step: LaterStep) -> None:
    rows, crops = await _crops(shop, scene, step)
    for row, guess in zip(rows, await shop.ask(shop.engines.guesser(step.model.name), crops, None), strict=True):
        if guess.confidence >= step.least:
            known = scene.details.get(row, {}).get("attributes", {})
            assert isinstance(known, dict)
            told = {"label": guess.text, "confidence": round(guess.confidence, 4)}
            scene.tell(row, attributes={**known, step.model.name: told})


async def _read(shop: Workshop, scene: _Scene, step: LaterStep) -> None:
    rows, crops = await _crops(shop, scene, step)
    for row, line in zip(rows, await shop.ask(shop.engines.guesser(step.model.name), crops, None), strict=True):
        _tell_text(scene, row, [line], step.least)


async def _ocr(shop: Workshop, scene: _Scene, step: LaterStep) -> None:
    """Find the lines of text inside objects, and read all of them together."""
    assert step.query is not None, "plan_steps gives a search for text one"
    assert step.reader is not None, "and somebody who reads it"
    rows, crops = await _crops(shop, scene, step)
    found = await shop.ask(shop.engines.detector(step.model.name), crops, step.query)
    boxes = [in_reading_order(crop.placement.in_frame(one.boxes)) for crop, one in zip(crops, found, strict=True)]
    owners = [row for row, lines in zip(rows, boxes, strict=True) for _ in lines]
    regions = [line for lines in boxes for line in lines]
    pictures = await shop.cut(scene.frame, regions, step.reader)
    kept = [(row, picture) for row, picture in zip(owners, pictures, strict=True) if picture is not None]
    read = await shop.ask(shop.engines.guesser(step.reader.name), [picture for _, picture in kept], None)
    for row in rows:
        mine = [line for (owner, _), line in zip(kept, read, strict=True) if owner == row]
        _tell_text(scene, row, mine, step.least)


def _tell_text(scene: _Scene, row: int, lines: Sequence[Guess], least: float) -> None:
    told = [line for line in lines if line.text and line.confidence >= least]
    if told:
        confidence = sum(line.confidence for line in told) / len(told)
        scene.tell(row, text="\n".join(line.text for line in told), text_confidence=round(confidence, 4))


def in_reading_order(boxes: Boxes) -> list[Box]:
    """Lines of text [n, 4] from the top down, and those beside each other from left to right."""
    rows: list[list[Box]] = []
    for left, top, right, bottom in sorted(boxes.tolist(), key=lambda box: box[1]):
        last = rows[-1][0] if rows else None
        if last is not None and last[3] - top > _LINE_OVERLAP * (bottom - top):
            rows[-1].append((left, top, right, bottom))
        else:
            rows.append([(left, top, right, bottom)])
    return [box for row in rows for box in sorted(row)]


_TAKEN: Final = {"detect": _detect, "embed": _embed, "classify": _classify, "read": _read, "ocr": _ocr}
