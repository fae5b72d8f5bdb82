"""One model for all streams of a worker: images come from many coroutines and go to the session in batches.

Threads of its own run the session, since a hop over the event loop between two batches would leave it idle.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np

from videofleet_worker.models.batch_size import BatchLimits, BatchSizes, allowed, observe, start
from videofleet_worker.models.pending import PendingQueue
from videofleet_worker.models.runner import Batch, Image, stack

Query = TypeVar("Query")
Query_contra = TypeVar("Query_contra", contravariant=True)
Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)


class EngineClosedError(RuntimeError):
    """The engine was closed before the image was looked at."""


class InferenceError(RuntimeError):
    """The session failed on a batch; every image of it gets this error. Its cause is the session's own."""


class BatchModel(Protocol[Query_contra, Answer_co]):
    """What the engine needs of a model."""

    @property
    def image_shapes(self) -> tuple[tuple[int, int, int], ...]: ...

    @property
    def largest_batch(self) -> int | None: ...

    @property
    def on_device(self) -> bool: ...

    def answer(self, batch: Batch, queries: Sequence[Query_contra]) -> Sequence[Answer_co]: ...


@dataclass(frozen=True)
class Abreast(Generic[Query_contra, Answer_co]):
    """The same model for `runs` runs beside each other, each of one image and on its share of the processors."""

    model: BatchModel[Query_contra, Answer_co]
    runs: int


@dataclass
class EngineCounters:
    """Totals since the start; times in seconds. `room` counts the images that the batches run could have held."""

    batches: int = 0
    images: int = 0
    room: int = 0
    failed_batches: int = 0
    queue_wait_seconds: float = 0.0
    inference_seconds: float = 0.0

    @property
    def occupancy(self) -> float:
        """The share of the batches' room that was filled, 0..1; 0 before the first batch."""
        return self.images / self.room if self.room else 0.0


@dataclass(eq=False)
class _Request(Generic[Query, Answer]):
    stream: Hashable
    lane: Hashable
    image: Image
    query: Query
    arrived: float
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    answer: asyncio.Future[Answer] = field(init=False)

    def __post_init__(self) -> None:
        self.answer = self.loop.create_future()

    @property
    def shape(self) -> Hashable:
        """Only images of one kind and shape go into a batch."""
        return type(self.image), self.image.shape

    def resolve(self, result: Answer | Exception) -> None:
        """Hand the result to the coroutine that waits for it, from another thread."""
        self.loop.call_soon_threadsafe(_settle, self.answer, result)


def _settle(answer: asyncio.Future[Answer], result: Answer | Exception) -> None:
    if answer.done():  # the caller was cancelled meanwhile
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)


class InferenceEngine(Generic[Query, Answer]):
    """Runs one model for all streams. Create it inside the event loop whose coroutines use it, and close it there.

    Streams take turns (`PendingQueue`). There is no bound on what waits: who asks has the image in memory either way,
    and `Turns` bounds how many frames are at work.

    A model on the processor may be there twice: the session of `model` has all threads for one run, and answers a lone
    image soonest; with `abreast` images that crowd are run beside each other, which serves more of them, since no
    thread waits for others at the end of each layer.

    `on_failure` hears, in one of the engine's threads, of each batch that failed. `counters`, `sizes.settled` and
    `waiting` are for metrics.
    """

    def __init__(
        self,
        model: BatchModel[Query, Answer],
        *,
        abreast: Abreast[Query, Answer] | None = None,
        limits: BatchLimits | None = None,
        clock: Callable[[], float] = time.perf_counter,
        on_failure: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self._model = model
        self._abreast = abreast
        self._fixed = model.largest_batch
        self._limits = limits or BatchLimits()
        self._clock = clock
        self._on_failure = on_failure
        self._pending: PendingQueue[_Request[Query, Answer]] = PendingQueue()
        self._changed = threading.Condition()
        self._closing = False
        self._at_work = 0
        self._whole = False
        self.sizes: BatchSizes = start(self._limits)
        self.counters = EngineCounters()
        self._threads = [threading.Thread(target=self._serve, name="inference", daemon=True) for _ in range(self.runs)]
        for thread in self._threads:
            thread.start()

    @property
    def runs(self) -> int:
        """How many runs there may be at a time."""
        return self._abreast.runs if self._abreast is not None else 1

    @property
    def on_device(self) -> bool:
        """Whether the model takes pictures that lie on its device."""
        return self._model.on_device

    @property
    def waiting(self) -> int:
        """Images that wait for their batch now."""
        return len(self._pending)

    async def ask(self, stream: Hashable, image: Image, query: Query, *, lane: Hashable = None) -> Answer:
        """What the model says about one image [3, height, width] of a stream. A batch has one image a lane of a stream.

        The image must not change until the answer is there. Raises ValueError for an image that does not fit the
        model, InferenceError where the session failed, EngineClosedError after `close`.
        """
        _check_image(image, self._model.image_shapes)
        request: _Request[Query, Answer] = _Request(stream, lane, image, query, self._clock())
        with self._changed:
            if self._closing:
                raise EngineClosedError("the inference engine is closed")
            self._pending.add(request)
            self._changed.notify()
        try:
            return await request.answer
        except asyncio.CancelledError:
            with self._changed:
                self._pending.remove(request)
            raise

    async def close(self) -> None:
        """Let the batch in work end, give everybody who still waits EngineClosedError, end the thread. May be repeated.

        An image whose caller was cancelled is not read any more once this has returned.
        """
        with self._changed:
            self._closing = True
            left = self._pending.take_all()
            self._changed.notify_all()
        for request in left:
            _settle(request.answer, EngineClosedError("the inference engine was closed"))
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _serve(self) -> None:
        """A thread: one run after another until the engine closes."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._may_run())
                if self._closing:
                    return
                run = self._begin()
            self._work(run)

    def _may_run(self) -> bool:
        return len(self._pending) > 0 and not self._whole and self._at_work < self.runs

    def _begin(self) -> "_Run[Query, Answer]":
        """What is run now. One of several waits, or another is at work: beside each other; else with all there is."""
        ready = self._pending.lanes()
        self._at_work += 1
        if self._abreast is not None and (self._at_work > 1 or len(self._pending) > 1):
            # The others may begin too, and this one's thread was the only one that was woken.
            self._changed.notify()
            return _Run(self._abreast.model, self._pending.take(1), None)
        self._whole = True
        return _Run(self._model, self._pending.take(self._batch_size(ready)), ready)

    def _batch_size(self, ready: int) -> int:
        # A file with a fixed batch of 1 runs one image at a time; the registry refuses other fixed batches.
        return 1 if self._fixed is not None else allowed(self.sizes, ready)

    def _work(self, run: "_Run[Query, Answer]") -> None:
        began, batch = self._clock(), run.batch
        results: Sequence[Answer | Exception]
        try:
            results = run.model.answer(
                stack([request.image for request in batch]), [request.query for request in batch]
            )
        except Exception as error:  # noqa: BLE001 - whatever the session raises belongs to those who wait for it
            self._end(run)
            self._on_failure(error)
            results = [_failure(error) for _ in batch]
        else:
            self._end(run, began, self._clock() - began)
        # Only now: who has his answer may ask at once, and must not find this run still at work.
        for request, result in zip(batch, results, strict=True):
            request.resolve(result)

    def _end(self, run: "_Run[Query, Answer]", began: float = 0.0, seconds: float | None = None) -> None:
        """It is at work no more. `seconds`: how long it took; None where it failed."""
        with self._changed:
            if seconds is None:
                self.counters.failed_batches += 1
            else:
                self._count(run, began, seconds)
            self._at_work -= 1
            if run.ready is not None:
                self._whole = False
            self._changed.notify()

    def _count(self, run: "_Run[Query, Answer]", began: float, seconds: float) -> None:
        counters, images = self.counters, len(run.batch)
        counters.batches += 1
        counters.images += images
        counters.queue_wait_seconds += sum(began - request.arrived for request in run.batch)
        counters.inference_seconds += seconds
        if run.ready is None:
            counters.room += 1
            return
        counters.room += max(self.sizes.target, images)
        self.sizes = observe(self.sizes, self._limits, images, seconds, run.ready)


@dataclass(frozen=True)
class _Run(Generic[Query, Answer]):
    """`ready`: how many could have shared the batch; None where it runs beside others."""

    model: BatchModel[Query, Answer]
    batch: list[_Request[Query, Answer]]
    ready: int | None


def _failure(error: Exception) -> InferenceError:
    """A new exception for each caller: one shared by several would gather all their tracebacks."""
    failure = InferenceError(f"the model's session failed: {error}")
    failure.__cause__ = error
    return failure


def _check_image(image: Image, shapes: tuple[tuple[int, int, int], ...]) -> None:
    kind = image.dtype if isinstance(image, np.ndarray) else np.dtype(np.uint8)
    if image.shape not in shapes or kind != np.uint8:
        wanted = " or ".join(str(list(shape)) for shape in shapes)
        raise ValueError(f"the image is {kind} {list(image.shape)}, and the model takes uint8 {wanted}")
