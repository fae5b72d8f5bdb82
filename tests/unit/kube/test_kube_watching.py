"""Lines out of chunks, events out of lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videofleet_kube import Gone, Unavailable
from videofleet_kube.resources import is_older
from videofleet_kube.watching import EventType, LineSplitter, batches, parse_event


@settings(deadline=None)
@given(st.lists(st.binary(max_size=5).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_come_out_whole_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines) + b"unfinished"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    edges = [0, *cuts, len(stream)]
    splitter = LineSplitter()
    out = [line for a, b in pairwise(edges) for line in splitter.feed(stream[a:b])]
    assert out == [line for line in lines if line]


def test_reads_an_event() -> None:
    event = parse_event(b'{"type":"ADDED","object":{"metadata":{"uid":"u","resourceVersion":"7"}}}')
    assert (event.type, event.version, event.ends_initial) == (EventType.ADDED, "7", False)


def test_only_an_annotated_bookmark_ends_the_initial_events() -> None:
    annotated = b'"object":{"metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}}'
    assert parse_event(b'{"type":"BOOKMARK",' + annotated).ends_initial
    assert not parse_event(b'{"type":"MODIFIED",' + annotated).ends_initial
    assert not parse_event(b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}').ends_initial


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b'{"type":"ADDED"}', b'{"type":"NEW","object":{"metadata":{}}}', b'{"type":"ADDED","object":1}'],
)
def test_malformed_lines_are_a_broken_connection(line: bytes) -> None:
    with pytest.raises(Unavailable, match="malformed watch event"):
        parse_event(line)


def test_an_error_event_is_raised_by_its_type() -> None:
    with pytest.raises(Gone):
        parse_event(b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"old"}}')


def test_what_came_before_a_bad_line_is_handed_out() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"type":"ADDED","object":{"metadata":{"resourceVersion":"7"}}}\nnonsense\n'

    seen: list[str] = []

    async def read() -> None:
        async for events in batches(chunks()):
            seen.extend(event.version for event in events)

    with pytest.raises(Unavailable):
        asyncio.run(read())
    assert seen == ["7"]


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [
        ("9", "10", True),
        ("10", "10", False),
        ("10", "9", False),
        ("", "9", False),
        ("abc", "9", False),
        ("9", "x", False),
    ],
)
def test_only_decimal_versions_are_compared(version: str, than: str, older: bool) -> None:
    assert is_older(version, than) is older
