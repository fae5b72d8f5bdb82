"""The test source: what it shows is known, and it fails as it is told."""

import numpy as np
import pytest

from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import read
from videofleet_api.codes import ErrorCode
from videofleet_api.source import SourcePolicy
from videofleet_worker.decode.frame import Frame
from videofleet_worker.decode.synthetic import Fault, Synthetic, parse
from videofleet_worker.memory import DecoderMemory
from videofleet_worker.sources.errors import SourceError
from videofleet_worker.sources.events import Opened, Reconnected, SourceEvent
from videofleet_worker.sources.reach import Reach, check_allowed
from videofleet_worker.sources.reconnect import ReconnectPolicy

SMALL = "test://pattern?width=64&height=48&fps=10&frames=30"


async def test_frames_show_what_was_computed(make_source: MakeSource) -> None:
    wanted = parse(SMALL)
    seen: list[bool] = []

    def compare(frame: Frame) -> None:
        seen.append(np.array_equal(frame.planes[0], wanted.picture(frame.index)[: wanted.height]))

    outcome = await read(make_source(SMALL), compare)

    assert (outcome.error, outcome.indexes) == (None, list(range(30)))
    assert outcome.times == pytest.approx([index / 10 for index in range(30)])
    assert outcome.keyframes == [0, 10, 20]
    assert seen == [True] * 30


async def test_without_an_end_it_is_live_and_keeps_its_pace(make_source: MakeSource, events: list[SourceEvent]) -> None:
    source = make_source("test://pattern?width=64&height=48&fps=50")

    outcome = await read(source, enough=20)

    (opened,) = [event for event in events if isinstance(event, Opened)]
    assert opened.info.live
    assert opened.info.total_frames is None
    assert outcome.times == sorted(outcome.times)


def test_boxes_are_where_the_picture_has_them() -> None:
    wanted = Synthetic(width=320, height=240, objects=1, seed=3)
    for index in (0, 10, 400):
        (box,) = wanted.boxes(index)
        rows, columns = np.nonzero(wanted.picture(index)[:240] != 96)
        found = (columns.min() / 320, rows.min() / 240, (columns.max() + 1) / 320, (rows.max() + 1) / 240)
        assert box == pytest.approx(found, abs=1 / 240)


@pytest.mark.parametrize("index", [0, 1, 1000, 10**6])
def test_boxes_stay_in_the_picture(index: int) -> None:
    boxes = Synthetic(objects=64).boxes(index)
    assert boxes.shape == (64, 4)
    assert (boxes >= 0).all()
    assert (boxes <= 1 + 1e-9).all()


def test_a_seed_is_a_scene() -> None:
    assert np.array_equal(Synthetic(seed=7).picture(12), Synthetic(seed=7).picture(12))
    assert not np.array_equal(Synthetic(seed=7).picture(12), Synthetic(seed=8).picture(12))


@pytest.mark.parametrize(
    ("fault", "code", "frames"),
    [
        ("auth", ErrorCode.AUTH, 0),
        ("not_found", ErrorCode.NOT_FOUND, 0),
        ("network@12", ErrorCode.NETWORK, 12),
        ("codec@1", ErrorCode.CODEC, 1),
        ("crash@5", ErrorCode.INTERNAL, 5),
        ("leak@3", ErrorCode.INTERNAL, None),
    ],
)
async def test_it_fails_on_demand(make_source: MakeSource, fault: str, code: ErrorCode, frames: int | None) -> None:
    source = make_source(
        f"test://pattern?width=64&height=48&frames=100000&fail={fault}",
        memory=DecoderMemory(own=200 * 2**20),
        reconnect=ReconnectPolicy(window=0),
    )

    outcome = await read(source)

    assert outcome.failure.code is code
    assert frames is None or len(outcome.indexes) == frames


async def test_a_hang_is_noticed(make_source: MakeSource) -> None:
    outcome = await read(
        make_source(f"{SMALL}&fail=hang@4", stall_timeout=0.3, connect_timeout=3.0, reconnect=ReconnectPolicy(window=0))
    )

    assert (outcome.failure.code, outcome.indexes) == (ErrorCode.STALLED, [0, 1, 2, 3])


async def test_a_live_one_comes_back_after_a_fault(make_source: MakeSource, events: list[SourceEvent]) -> None:
    source = make_source("test://pattern?width=64&height=48&fps=100&fail=network@8")

    outcome = await read(source, enough=12)

    assert outcome.error is None
    assert any(isinstance(event, Reconnected) for event in events)
    assert outcome.indexes == sorted(set(outcome.indexes))


@pytest.mark.parametrize(
    ("fault", "same"), [(Fault.FREEZE, True), (Fault.BLACK, True), (Fault.SLOW, False), (None, False)]
)
def test_pictures_that_are_wrong(fault: Fault | None, same: bool) -> None:
    wanted = Synthetic(width=64, height=48, fault=fault, fail_at=5)
    assert np.array_equal(wanted.picture(5), wanted.picture(40)) is same
    assert not np.array_equal(wanted.picture(0), wanted.picture(4))
    assert (wanted.picture(5)[:48] == 16).all() == (fault is Fault.BLACK)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("width=63", "width must be even, got 63"),
        ("height=9000", "height must be a whole number from 16 to 8192, got '9000'"),
        ("fps=none", "fps must be a number from 0.1 to 240, got 'none'"),
        ("objects=-1", "objects must be a whole number from 0 to 64, got '-1'"),
        ("colour=red", "colour is not known: width, height, fps, frames, objects, seed and fail are"),
        ("fail=boredom@3", "fail=boredom is not known: freeze, black, slow, crash, hang, leak, fork, threads, auth"),
        ("fail=crash@soon", "the frame in fail must be a whole number from 0 to 1000000000, got 'soon'"),
    ],
)
def test_what_there_is_not(query: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(f"test://pattern?{query}")


async def test_a_wrong_address_says_so(make_source: MakeSource) -> None:
    outcome = await read(make_source("test://snow"))

    assert outcome.failure.code is ErrorCode.BAD_PARAMETER
    assert "there is test://pattern" in outcome.failure.message


def test_the_pool_may_allow_some_schemes_only() -> None:
    policy = Reach(SourcePolicy(schemes=["rtsp", "rtsps"]))
    check_allowed("rtsp://camera/1", policy)

    with pytest.raises(SourceError, match="the pool's sourcePolicy allows rtsp, rtsps, but not test") as refused:
        check_allowed("test://pattern", policy)
    assert refused.value.code is ErrorCode.FORBIDDEN
