"""What rows of the data plane make of what was counted."""

import pytest

from tests.bench.control.rows import Row, Table
from tests.bench.data.__main__ import by_itself
from tests.bench.data.agreement import DisagreementError
from tests.bench.data.archiving import a_day, lost_and_doubled
from tests.bench.data.heard import Told, frames_of, picture_ages
from tests.bench.data.overload import Fates
from tests.bench.data.sampling import same_frames
from tests.bench.data.streams import Load, further_cpu, further_memory
from tests.support.archives import chunk
from videofleet_archive import log


def test_a_further_stream_is_what_the_last_ones_add() -> None:
    loads = [Load(1, 0.2, 1.0, 300.0), Load(2, 0.27, 2.0, 340.0), Load(8, 0.69, 8.0, 580.0)]
    assert further_cpu(loads) == pytest.approx(70.0)
    assert further_memory(loads) == pytest.approx(40.0)


def test_fates_of_frames_add_up() -> None:
    before = {"frames_processed": {"a": 5.0, "other": 1.0}, "frames_decoded": {"a": 9.0}}
    after = {
        "frames_processed": {"a": 45.0, "b": 60.0, "other": 99.0},
        "frames_decoded": {"a": 109.0, "b": 60.0},
        "frames_passed": {"b": 40.0},
        "dropped:sampling": {"a": 40.0, "b": 20.0},
        "dropped:busy": {"a": 15.0, "b": 10.0},
        "dropped:stale": {"a": 8.0, "other": 3.0},
        "dropped:no_slot": {"other": 3.0},
    }
    fates = Fates.between(before, after, ["a", "b"])
    assert (fates.came, fates.left_out, fates.offered) == (200.0, 60.0, 140.0)
    assert fates.served == {"a": 40.0, "b": 60.0}
    assert fates.dropped == {"busy": 25.0, "stale": 8.0}
    assert fates.unaccounted == pytest.approx(7 / 140)
    assert fates.least_share == pytest.approx(0.8)


def test_a_picture_is_of_the_frame_that_was_told_nearest_to_it() -> None:
    told = [Told(0, captured=10.0, heard=10.2), Told(4, captured=10.4, heard=10.6)]
    assert picture_ages(told, [10.19, 10.63, 12.0], nearest=0.2) == pytest.approx([0.19, 0.23])
    assert picture_ages([], [1.0], nearest=0.2) == []


def test_what_a_log_lacks_and_what_it_has_twice() -> None:
    data = b"".join(log.event(0, chunk(frame)) for frame in (0, 1, 1, 3))
    assert frames_of(data) == [0, 1, 1, 3]
    assert lost_and_doubled(frames_of(data), 5) == (2, 1)
    assert lost_and_doubled([0, 1, 2], 3) == (0, 0)


def test_a_day_is_as_the_seconds_were() -> None:
    assert a_day({"create": 10.0, "bytes": 5.0}, {"create": 30.0, "bytes": 5.0}, 10.0) == {
        "create": 172_800.0,
        "bytes": 0.0,
    }


def test_rows_of_one_part_tell_their_own_load() -> None:
    table = Table({"date": "today", "load": "9"}, [Row("m", "p", [1.0], remark="why"), Row("n", "", [2.0])])
    found = by_itself(table, {"date": "before", "load": "3"})
    assert found.head == {"date": "before", "load": "3"}
    assert [row.remark for row in found.rows] == [
        "why; measured by itself, today, load 9",
        "measured by itself, today, load 9",
    ]


def test_frames_that_one_side_alone_took_are_no_result() -> None:
    assert same_frames([0, 25], [0, 25]) == "the same 2 frames"
    with pytest.raises(DisagreementError, match=r"\[24, 25\]"):
        same_frames([0, 25], [0, 24])
