"""The engine that serves many streams with one session."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from videofleet_worker.models.batch_size import BatchLimits, BatchSizes
from videofleet_worker.models.batching import (
    Abreast,
    BatchModel,
    EngineClosedError,
    InferenceEngine,
    InferenceError,
)
from videofleet_worker.models.detections import DetectionQuery, Detections
from videofleet_worker.models.detector import Detector
from videofleet_worker.models.runner import Images

QUERY = DetectionQuery(0.3, 0.5)
SHAPE = (3, 2, 2)
PATIENCE = 60.0


class GatedDetector:
    """Answers with each image's first byte as its class, and only while the gate is open."""

    def __init__(self, largest_batch: int | None = None) -> None:
        self.image_shapes = (SHAPE,)
        self.largest_batch = largest_batch
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.batches: list[list[int]] = []
        self.failure: Exception | None = None

    def answer(self, batch: Images, queries: Sequence[DetectionQuery]) -> list[Detections]:
        assert len(batch) == len(queries)
        self.entered.set()
        assert self.gate.wait(PATIENCE)
        self.batches.append([int(image[0, 0, 0]) for image in batch])
        if self.failure is not None:
            raise self.failure
        return [
            Detections(np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.array([number]))
            for number in self.batches[-1]
        ]


def image(number: int) -> Images:
    return np.full(SHAPE, number, np.uint8)


@asynccontextmanager
async def running(
    detector: BatchModel[DetectionQuery, Detections], settled: int = 1
) -> AsyncIterator[InferenceEngine[DetectionQuery, Detections]]:
    engine = InferenceEngine(detector, limits=BatchLimits(first_pause=10**6))
    engine.sizes = replace(BatchSizes(), settled=settled, until_trial=10**6)
    try:
        yield engine
    finally:
        if isinstance(detector, GatedDetector):
            detector.gate.set()
        await engine.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - the engine's thread brings it about
            await asyncio.sleep(0.001)


async def ask(
    engine: InferenceEngine[DetectionQuery, Detections], stream: str, number: int, lane: int | None = None
) -> int:
    return int((await engine.ask(stream, image(number), QUERY, lane=lane)).classes[0])


async def behind_a_closed_gate(
    engine: InferenceEngine[DetectionQuery, Detections], detector: GatedDetector, asked: list[tuple[str, int]]
) -> list[asyncio.Task[int]]:
    """Ask for one image that occupies the session, then for the others, all of which wait."""
    tasks = [asyncio.create_task(ask(engine, "first", 0))]
    await until(detector.entered.is_set)
    tasks += [asyncio.create_task(ask(engine, *one)) for one in asked]
    await until(lambda: engine.waiting == len(asked))
    return tasks


async def test_batches_hold_one_frame_a_stream_and_everybody_gets_his_own() -> None:
    detector = GatedDetector()
    async with running(detector, settled=4) as engine:
        asked = [("a", 1), ("a", 2), ("b", 3), ("c", 4), ("d", 5), ("e", 6), ("a", 7)]
        tasks = await behind_a_closed_gate(engine, detector, asked)
        detector.gate.set()
        assert await asyncio.gather(*tasks) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert detector.batches == [[0], [1, 3, 4, 5], [6, 2], [7]]


async def test_counters_tell_what_ran() -> None:
    detector = GatedDetector()
    async with running(detector, settled=4) as engine:
        tasks = await behind_a_closed_gate(engine, detector, [("a", 1), ("b", 2), ("c", 3), ("d", 4)])
        detector.gate.set()
        await asyncio.gather(*tasks)
        assert (engine.counters.batches, engine.counters.images, engine.counters.room) == (2, 5, 8)
        assert engine.counters.occupancy == 5 / 8
        assert engine.counters.queue_wait_seconds > 0
        assert engine.counters.inference_seconds > 0
        assert engine.waiting == 0


async def test_a_model_with_a_fixed_batch_gets_single_images() -> None:
    detector = GatedDetector(largest_batch=1)
    async with running(detector, settled=8) as engine:
        tasks = await behind_a_closed_gate(engine, detector, [("a", 1), ("b", 2)])
        detector.gate.set()
        await asyncio.gather(*tasks)
    assert detector.batches == [[0], [1], [2]]


async def test_a_failure_reaches_all_of_its_batch_and_nobody_else() -> None:
    detector = GatedDetector()
    async with running(detector, settled=2) as engine:
        detector.failure = RuntimeError("device lost")
        detector.gate.set()
        for outcome in await asyncio.gather(ask(engine, "a", 1), ask(engine, "b", 2), return_exceptions=True):
            assert isinstance(outcome, InferenceError)
            assert str(outcome) == "the model's session failed: device lost"
            assert outcome.__cause__ is detector.failure
        detector.failure = None
        assert await ask(engine, "a", 3) == 3
        assert engine.counters.failed_batches >= 1


async def test_an_image_that_does_not_fit_is_refused_before_it_spoils_a_batch() -> None:
    detector = GatedDetector()
    async with running(detector) as engine:
        with pytest.raises(ValueError, match=r"the image is uint8 \[3, 4, 4\], and the model takes uint8 \[3, 2, 2\]"):
            await engine.ask("a", np.zeros((3, 4, 4), np.uint8), QUERY)
        with pytest.raises(ValueError, match="the image is float32"):
            await engine.ask("a", np.zeros(SHAPE, np.float32), QUERY)


async def test_who_goes_away_while_waiting_costs_nothing() -> None:
    detector = GatedDetector()
    async with running(detector) as engine:
        first, gone, last = await behind_a_closed_gate(engine, detector, [("a", 1), ("b", 2)])
        gone.cancel()
        await until(lambda: engine.waiting == 1)
        detector.gate.set()
        assert (await first, await last) == (0, 2)
        assert gone.cancelled()
    assert detector.batches == [[0], [2]]


async def test_who_goes_away_during_the_batch_does_not_harm_the_next() -> None:
    detector = GatedDetector()
    async with running(detector) as engine:
        first, last = await behind_a_closed_gate(engine, detector, [("a", 1)])
        first.cancel()
        detector.gate.set()
        assert await last == 1
        assert first.cancelled()


async def test_who_has_one_image_does_not_wait_for_all_that_another_stream_has() -> None:
    detector = GatedDetector()
    async with running(detector) as engine:
        crowd = [("crowd", number) for number in range(1, 101)]
        tasks = await behind_a_closed_gate(engine, detector, [*crowd, ("lone", 101)])
        detector.gate.set()
        await asyncio.gather(*tasks)
    assert detector.batches[:4] == [[0], [1], [101], [2]]


async def test_objects_of_a_frame_share_batches_and_leave_room_for_those_of_others() -> None:
    detector = GatedDetector()
    async with running(detector, settled=4) as engine:
        tasks = [asyncio.create_task(ask(engine, "first", 0))]
        await until(detector.entered.is_set)
        tasks += [asyncio.create_task(ask(engine, "crowd", number, lane=number)) for number in range(1, 8)]
        tasks += [asyncio.create_task(ask(engine, "lone", 101))]
        await until(lambda: engine.waiting == 8)
        detector.gate.set()
        await asyncio.gather(*tasks)
    assert detector.batches == [[0], [1, 101, 2, 3], [4, 5, 6, 7]]


async def test_closing_lets_the_running_batch_end_and_tells_the_others() -> None:
    detector = GatedDetector()
    engine = InferenceEngine(detector)
    first, *waiting = await behind_a_closed_gate(engine, detector, [("a", 1), ("b", 2)])
    closing = asyncio.create_task(engine.close())
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, EngineClosedError) for outcome in outcomes)
    detector.gate.set()
    await closing
    assert await first == 0
    with pytest.raises(EngineClosedError):
        await ask(engine, "a", 3)
    await engine.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "inference"]


class Abreasts:
    """A model that is there twice: what ran with all threads, and what ran beside others."""

    def __init__(self, runs: int = 2) -> None:
        self.whole, self.beside = GatedDetector(), GatedDetector()
        self.at_work = 0
        self.most = 0
        self._lock = threading.Lock()
        self._answer, self.beside.answer = self.beside.answer, self._counted  # type: ignore[method-assign] # counts
        self.engine = InferenceEngine(self.whole, abreast=Abreast(self.beside, runs))

    def _counted(self, batch: Images, queries: Sequence[DetectionQuery]) -> list[Detections]:
        with self._lock:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        try:
            return self._answer(batch, queries)
        finally:
            with self._lock:
                self.at_work -= 1

    async def __aenter__(self) -> "Abreasts":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.whole.gate.set()
        self.beside.gate.set()
        await self.engine.close()


async def test_a_lone_image_has_all_threads() -> None:
    async with Abreasts() as model:
        model.whole.gate.set()
        for number in range(3):
            assert await ask(model.engine, "a", number) == number
        assert (model.whole.batches, model.beside.batches) == ([[0], [1], [2]], [])


async def test_images_that_crowd_are_run_beside_each_other() -> None:
    async with Abreasts(runs=3) as model:
        asked = [(stream, number) for number, stream in enumerate("abcdefg", 1)]
        tasks = await behind_a_closed_gate(model.engine, model.whole, asked)
        model.whole.gate.set()
        await until(lambda: model.at_work == 3)
        assert model.engine.waiting == 4
        model.beside.gate.set()
        assert await asyncio.gather(*tasks) == list(range(8))
        assert (model.whole.batches, model.most) == ([[0]], 3)
        assert sorted(model.beside.batches) == [[number] for number in range(1, 8)]
        assert (model.engine.counters.batches, model.engine.counters.occupancy) == (8, 1.0)


async def test_none_has_all_threads_while_another_is_at_work() -> None:
    async with Abreasts() as model:
        tasks = await behind_a_closed_gate(model.engine, model.whole, [("a", 1), ("b", 2)])
        model.whole.gate.set()
        await until(lambda: model.at_work == 2)
        tasks.append(asyncio.create_task(ask(model.engine, "c", 3)))
        await until(lambda: model.engine.waiting == 1)
        model.beside.gate.set()
        await asyncio.gather(*tasks)
        # The one that came while they ran may have found both ended.
        assert sorted(model.whole.batches + model.beside.batches) == [[0], [1], [2], [3]]
        assert await ask(model.engine, "d", 4) == 4
        assert model.whole.batches[-1] == [4]


async def test_closing_waits_for_all_that_run_beside_each_other() -> None:
    async with Abreasts() as model:
        first, second, third, gone = await behind_a_closed_gate(
            model.engine, model.whole, [("a", 1), ("b", 2), ("c", 3)]
        )
        model.whole.gate.set()
        await until(lambda: model.at_work == 2)
        closing = asyncio.create_task(model.engine.close())
        assert isinstance((await asyncio.gather(gone, return_exceptions=True))[0], EngineClosedError)
        assert not closing.done()
        model.beside.gate.set()
        await closing
        assert await asyncio.gather(first, second, third) == [0, 1, 2]
    assert not [thread for thread in threading.enumerate() if thread.name == "inference"]


async def test_one_that_fails_beside_others_fails_alone() -> None:
    async with Abreasts() as model:
        tasks = await behind_a_closed_gate(model.engine, model.whole, [("a", 1), ("b", 2)])
        model.beside.failure = RuntimeError("out of memory")
        model.whole.gate.set()
        await until(lambda: model.at_work == 2)
        model.beside.gate.set()
        first, *failed = await asyncio.gather(*tasks, return_exceptions=True)
        assert first == 0
        assert [str(one) for one in failed] == ["the model's session failed: out of memory"] * 2
        model.beside.failure = None
        assert await ask(model.engine, "c", 3) == 3


async def test_the_real_model_serves_several_streams(detector: Detector, street: Images) -> None:
    async with running(detector, settled=2) as engine:
        query = detector.default_query()
        answers = await asyncio.gather(*(engine.ask(stream, street, query) for stream in "abcd"))
    alone = detector.answer(street[None], [query])[0]
    assert len(alone) >= 5
    for answer in answers:
        np.testing.assert_allclose(answer.boxes, alone.boxes, atol=1e-4)
