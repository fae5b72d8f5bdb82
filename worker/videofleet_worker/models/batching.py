"""One model for all streams of a worker: images come from many coroutines and go to the session in batches.

A thread of its own runs the session, since a hop over the event loop between two batches would leave it idle.
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
    and `Turns` bounds how many frames are at work. `on_failure` hears, in the engine's thread, of each batch that
    failed. `counters`, `sizes.settled` and `waiting` are for metrics.
    """

    def __init__(
        self,
        model: BatchModel[Query, Answer],
        *,
        limits: BatchLimits | None = None,
        clock: Callable[[], float] = time.perf_counter,
        on_failure: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self._model = model
        self._fixed = model.largest_batch
        self._limits = limits or BatchLimits()
        self._clock = clock
        self._on_failure = on_failure
        self._pending: PendingQueue[_Request[Query, Answer]] = PendingQueue()
        self._changed = threading.Condition()
        self._closing = False
        self.sizes: BatchSizes = start(self._limits)
        self.counters = EngineCounters()
        self._thread = threading.Thread(target=self._serve, name="inference", daemon=True)
        self._thread.start()

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
            self._changed.notify()
        for request in left:
            _settle(request.answer, EngineClosedError("the inference engine was closed"))
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        """The thread: one batch after another until the engine closes."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or len(self._pending) > 0)
                if self._closing:
                    return
                ready = self._pending.lanes()
                batch = self._pending.take(self._batch_size(ready))
            self._run(batch, ready)

    def _batch_size(self, ready: int) -> int:
        # A file with a fixed batch of 1 runs one image at a time; the registry refuses other fixed batches.
        return 1 if self._fixed is not None else allowed(self.sizes, ready)

    def _run(self, batch: list[_Request[Query, Answer]], ready: int) -> None:
        began = self._clock()
        results: Sequence[Answer | Exception]
        try:
            results = self._model.answer(
                stack([request.image for request in batch]), [request.query for request in batch]
            )
        except Exception as error:  # noqa: BLE001 - whatever the session raises belongs to those who wait for it
            self.counters.failed_batches += 1
            self._on_failure(error)
            results = [_failure(error) for _ in batch]
        else:
            self._count(batch, began, self._clock() - began, ready)
        for request, result in zip(batch, results, strict=True):
            request.resolve(result)

    def _count(self, batch: list[_Request[Query, Answer]], began: float, seconds: float, ready: int) -> None:
        counters = self.counters
        counters.batches += 1
        counters.images += len(batch)
        counters.room += max(self.sizes.target, len(batch))
        counters.queue_wait_seconds += sum(began - request.arrived for request in batch)
        counters.inference_seconds += seconds
        self.sizes = observe(self.sizes, self._limits, len(batch), seconds, ready)


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
