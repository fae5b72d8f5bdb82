"""A real model and real pictures."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from videofleet_worker.models.detector import Detector
from videofleet_worker.models.providers import ProviderFacts, choose
from videofleet_worker.models.registry import Model, ModelRegistry
from videofleet_worker.models.runner import Images
from videofleet_worker.models.session import SessionLimits, open_session

CLIP = Path(__file__).parents[4] / "examples" / "media" / "vtest.mp4"


# Reads the frames from the first number up to the second: seconds, and [3, 416, 416] RGB as NanoDet takes it.
ReadClip = Callable[[int, int], Iterator[tuple[float, Images]]]


def _read(first: int, last: int) -> Iterator[tuple[float, Images]]:
    with av.open(str(CLIP)) as clip:
        for frame in islice(clip.decode(video=0), first, last):
            pixels = frame.reformat(416, 416, "rgb24", interpolation="AREA").to_ndarray()
            yield float(frame.time or 0), np.ascontiguousarray(pixels.transpose(2, 0, 1))


@pytest.fixture(scope="session")
def read_clip() -> ReadClip:
    """The sample clip: 768x576 pixels, ten frames a second, people who walk over a car park."""
    return _read


@pytest.fixture(scope="session")
def model() -> Model:
    return ModelRegistry.load().model_of("detect")


@pytest.fixture(scope="session")
def detector(model: Model) -> Detector:
    on_cpu = choose("cpu", ProviderFacts(offered=("CPUExecutionProvider",)))
    return Detector(model, open_session(model, on_cpu, SessionLimits(threads=2)).session)


@pytest.fixture(scope="session")
def street(read_clip: ReadClip) -> Images:
    """Frame 100 of the sample clip, [3, 416, 416]: at least six people in the open."""
    return next(image for _, image in read_clip(100, 101))
