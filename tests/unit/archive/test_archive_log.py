"""The bytes of a log."""

import pytest

from videofleet_archive import log
from videofleet_archive.extent import Extent, Segment, offset_of_key, segment_key


@pytest.mark.acceptance("V51", "V71", "A10")
def test_an_event_carries_the_offset_behind_its_blank_line() -> None:
    event = log.event(100, b'{"a":1}')
    assert event == b'data: {"a":1}\nid: %016d\n\n' % (100 + len(event))


def test_documents_are_the_events_without_comments_and_without_the_end() -> None:
    first = log.epoch_comment(3, "owner")
    second = log.event(len(first), b'{"a":1}')
    third = log.event(len(first) + len(second), log.DONE)
    assert list(log.documents(first + second + third)) == [b'{"a":1}']


def test_a_comment_is_no_event_to_those_who_take_any_blank_line_for_one() -> None:
    for comment in (log.epoch_comment(3, "owner"), log.gap_comment(7), log.error_comment("STALLED", "no data")):
        assert comment.startswith(b": ")
        assert comment.index(b"\n") == len(comment) - 1


def test_only_the_done_event_finishes_a_log() -> None:
    assert log.is_finished(log.event(0, b"{}") + log.event(30, log.DONE))
    assert not log.is_finished(log.event(0, b'{"text":"[DONE]"}'))
    assert not log.is_finished(log.epoch_comment(1, "owner"))


def test_an_error_comment_gives_code_and_message_back_in_one_line() -> None:
    segment = log.error_comment("STALLED", "no data\nfor 10 s") + log.event(0, b"{}")
    assert log.error_of(segment) == ("STALLED", "no data for 10 s")
    assert log.error_of(log.event(0, b"{}")) is None


def test_keys_are_sortable_and_give_their_offset_back() -> None:
    key = segment_key("p", 1234)
    assert key == "p/chunks/0000000000001234"
    assert offset_of_key(key) == 1234


@pytest.mark.parametrize("name", ["x", "123", "00000000000012a4", "0000000000001234#1"])
def test_foreign_names_are_no_segments(name: str) -> None:
    assert offset_of_key(f"p/chunks/{name}") is None


def test_the_extent_ends_at_the_first_hole() -> None:
    extent = Extent.contiguous([Segment(30, 5), Segment(0, 10), Segment(10, 10), Segment(35, 5)])
    assert (extent.start, extent.end) == (0, 20)


def test_an_extent_may_begin_above_zero() -> None:
    extent = Extent.contiguous([Segment(50, 5), Segment(55, 5)])
    assert (extent.start, extent.end) == (50, 60)
    assert extent.locate(54) == Segment(50, 5)
    assert extent.locate(55) == Segment(55, 5)


def test_dropping_keeps_at_least_the_last_segment() -> None:
    extent = Extent.contiguous([Segment(0, 10), Segment(10, 10), Segment(20, 10)])
    assert extent.drop_above(20) == [Segment(0, 10)]
    assert extent.drop_above(1) == [Segment(10, 10)]
    assert extent.drop_above(1) == []
    assert (extent.start, extent.end) == (20, 30)
