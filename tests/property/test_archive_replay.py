"""Any part of a log is a part of the whole, whatever was written and however it was cut into segments."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.archives import (
    ends_of_events,
    ids_of,
    mark,
    open_writer,
    stored_log,
    stored_view,
    terminal,
    threads_over,
)
from videofleet_archive import log
from videofleet_archive.extent import Extent, Segment
from videofleet_archive.writer import SealPolicy

_documents = st.lists(st.text(st.characters(blacklist_characters="\r\n", codec="utf-8")).map(str.encode), max_size=30)


async def _written(documents: list[bytes], segment_bytes: int, offsets: list[float]) -> None:
    async with threads_over() as threads:
        writer = await open_writer(threads, 1, policy=SealPolicy(seconds=0, segment_bytes=segment_bytes))
        for number, document in enumerate(documents):
            await writer.append(document, mark(number))
        await writer.finish(terminal(len(documents)), mark(len(documents)))
        whole = stored_log(threads.store)
        assert ids_of(whole) == ends_of_events(whole)
        assert list(log.documents(whole))[:-1] == documents
        view = await stored_view(threads)
        for share in offsets:
            offset = round(share * len(whole))
            assert b"".join([data async for data in view.read(offset)]) == whole[offset:]
        for offset in ids_of(whole):
            assert whole[:offset].endswith(b"\n\n")


@settings(max_examples=40, deadline=None)
@given(_documents, st.integers(1, 3000), st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_a_read_from_any_offset_is_the_tail_of_the_whole(
    documents: list[bytes], segment_bytes: int, offsets: list[float]
) -> None:
    # [DONE] as a document would be the end of the log, which only the writer writes.
    asyncio.run(_written([one for one in documents if one != log.DONE], segment_bytes, offsets))


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(0, 1000))
def test_the_extent_covers_every_byte_once(sizes: list[int], start: int) -> None:
    segments, at = [], start
    for size in sizes:
        segments.append(Segment(at, size))
        at += size
    extent = Extent.contiguous(list(reversed(segments)))
    assert extent.segments == segments
    for offset in range(extent.start, extent.end):
        found = extent.locate(offset)
        assert found.offset <= offset < found.end


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 500))
def test_dropping_keeps_what_was_asked_for_and_no_segment_more(sizes: list[int], keep: int) -> None:
    extent = Extent()
    for size in sizes:
        extent.append(size, 0.0)
    end = extent.end
    dropped = extent.drop_above(keep)
    assert sum(one.size for one in dropped) == extent.start
    assert extent.end == end
    assert extent.end - extent.start <= keep or len(extent.segments) == 1
    if dropped:
        assert end - dropped[-1].offset > keep
