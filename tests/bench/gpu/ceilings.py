"""What the parts do alone: no worker can hold more streams than either."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count

from tests.bench.gpu.agreement import QUERY, pictures, whole
from tests.bench.gpu.bench import Bench
from tests.bench.gpu.footage import Footage
from videofleet_worker.models.batch_size import LADDER
from videofleet_worker.models.runner import PictureBatch


def decoding(bench: Bench, footage: Footage, seconds: float, threads: int) -> float:
    """Frames a second that its decoder gives to so many streams; they are thrown away."""
    frames = [0] * threads

    def decode(number: int, until: float) -> None:
        context = bench.station.open(footage.handed).codec_context
        for index in count():
            frames[number] += len(context.decode(footage.packet(index)))
            if time.monotonic() >= until:
                return

    return sum(_all(threads, decode, seconds, frames)) / seconds


def inference(bench: Bench, footage: Footage, seconds: float, largest: int) -> tuple[float, int]:
    """Images a second of the detector, bound to pictures on its device, by the batch that gives most; and which."""
    picture = next(pictures(bench, footage, 1))
    asked = whole(picture, bench.detector)
    rates = {size: _rate(bench, PictureBatch((asked,) * size), seconds) for size in LADDER if size <= largest}
    best = max(rates, key=lambda size: rates[size])
    return rates[best], best


def _rate(bench: Bench, batch: PictureBatch, seconds: float) -> float:
    queries = [QUERY] * len(batch)
    # The first of a size pays for memory, algorithms or an engine.
    bench.detector.answer(batch, queries)
    began, done = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        bench.detector.answer(batch, queries)
        done += len(batch)
    return done / passed


def _all(threads: int, work: Callable[[int, float], None], seconds: float, found: list[int]) -> list[int]:
    until = time.monotonic() + seconds
    running = [threading.Thread(target=work, args=(number, until)) for number in range(threads)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    return found
