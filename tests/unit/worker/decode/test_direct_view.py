"""What a decoding child hands over to those who watch, and what one who is slow gets."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.unit.worker.decode.clips import ClipSpec, make_clip
from tests.unit.worker.decode.directly import numbers
from videofleet_worker.decode.direct import DirectView
from videofleet_worker.decode.messages import MAX_PIECE, DirectBegins, DirectPiece, Message
from videofleet_worker.decode.remux import Times
from videofleet_worker.sources.direct import DirectFeed, DirectViewer, Farewell, Head, Piece


class Parent:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.said: list[Message] = []
        self.data = b""

    def take(self, message: Message, data: bytes) -> None:
        self.said.append(message)
        self.data += data


@pytest.fixture
def parent() -> Parent:
    return Parent()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.ts", ClipSpec(container="mpegts"))


def play(clip: Path, parent: Parent, orders: dict[int, Any]) -> None:
    """All packets of the clip through a view; before some of them it is told something."""
    with av.open(str(clip)) as source:
        (stream,) = source.streams.video
        view = DirectView(stream, parent.take)
        for at, packet in enumerate(packet for packet in source.demux(stream) if packet.size):
            orders.get(at, lambda view: None)(view)
            view.take(packet)
        view.end()


def test_while_nobody_watches_nothing_is_handed_over(clip: Path, parent: Parent) -> None:
    play(clip, parent, {})
    assert parent.said == []


def test_it_begins_with_a_keyframe_and_ends_at_once(clip: Path, parent: Parent) -> None:
    play(clip, parent, {5: lambda view: view.watch(7), 25: lambda view: view.watch(0)})
    head, *pieces = parent.said
    assert isinstance(head, DirectBegins)
    assert (head.watch, head.mime) == (7, 'video/mp4; codecs="avc1.42C00A"')
    assert isinstance(pieces[0], DirectPiece)
    assert (pieces[0].watch, pieces[0].keyframe) == (7, True)
    assert head.size + sum(piece.size for piece in pieces if isinstance(piece, DirectPiece)) == len(parent.data)
    # The last one was not complete: its length is not known before the next one.
    assert numbers(parent.data) == list(range(10, 24))


def test_with_masks_nothing_is_handed_over(clip: Path, parent: Parent) -> None:
    orders = {
        0: lambda view: view.watch(1),
        5: lambda view: view.mask(masked=True),
        8: lambda view: view.watch(2),
        15: lambda view: view.mask(masked=False),
    }
    play(clip, parent, orders)
    assert numbers(parent.data) == list(range(4))
    assert {message.watch for message in parent.said if isinstance(message, DirectBegins | DirectPiece)} == {1}


@pytest.mark.parametrize(
    ("given", "placed"),
    [
        pytest.param([(0, 0), (10, 10), (20, 20)], [(0, 0), (10, 10), (20, 20)], id="regular"),
        pytest.param([(-10, 0), (0, 20), (10, 10)], [(0, 10), (10, 30), (20, 20)], id="pictures out of order"),
        pytest.param([(None, None), (500, 500), (510, 510)], [(0, 0), (4, 4), (14, 14)], id="the first is unknown"),
        pytest.param([(100, 100), (None, None), (120, 120)], [(0, 0), (4, 4), (20, 20)], id="one is missing"),
        pytest.param([(0, 0), (10, 10), (5000, 5000), (5010, 5010)], [(0, 0), (10, 10), (20, 20), (30, 30)], id="jump"),
        pytest.param([(900, 900), (910, 910), (0, 0), (10, 10)], [(0, 0), (10, 10), (20, 20), (30, 30)], id="restart"),
        pytest.param([(0, 0), (10, 10), (10, 10), (20, 20)], [(0, 0), (10, 10), (11, 11), (20, 20)], id="repeated"),
    ],
)
def test_times_grow_whatever_the_camera_says(
    given: list[tuple[int | None, int | None]], placed: list[tuple[int, int]]
) -> None:
    times = Times(Fraction(1, 100))
    assert [times.place(*one) for one in given] == placed


def key(name: bytes) -> Piece:
    return Piece(name, keyframe=True)


def other(name: bytes) -> Piece:
    return Piece(name, keyframe=False)


HEAD = Head("video/mp4", b"head")


async def everything(viewer: DirectViewer) -> bytes:
    viewer.leave(Farewell.ENDED)
    return b" ".join([part.data async for part in viewer.parts()])


async def test_one_who_is_slow_goes_on_with_a_keyframe_and_what_was_missed_is_counted() -> None:
    feed, asked = DirectFeed(), []
    feed.connected(asked.append)
    with feed.enter() as slow:
        (number,) = asked
        feed.begins(number, HEAD)
        feed.piece(number, key(b"a"))
        with feed.enter() as late:
            for at in range(254):
                feed.piece(number, other(b"%d" % at))
            assert feed.missed == 0
            # The head and 255 pieces wait: no room for these.
            feed.piece(number, other(b"no"))
            feed.piece(number, other(b"no"))
            feed.piece(number, key(b"k"))
            feed.piece(number, other(b"l"))
            assert await everything(late) == b"head k l"
        assert await everything(slow) == b"head k l"
    assert feed.missed == 255 + 2


async def test_one_large_picture_after_the_other_does_not_fill_the_memory() -> None:
    feed, asked = DirectFeed(), []
    feed.connected(asked.append)
    with feed.enter() as slow:
        feed.begins(asked[0], HEAD)
        for _ in range(5):
            feed.piece(asked[0], key(bytes(MAX_PIECE)))
        assert await everything(slow) == b"head " + bytes(MAX_PIECE)
    assert feed.missed == 4


async def test_packets_are_asked_for_only_while_somebody_watches() -> None:
    feed, asked = DirectFeed(), []
    feed.connected(asked.append)
    assert asked == []
    with feed.enter(), feed.enter():
        (number,) = asked
    assert asked == [number, 0]
    with feed.enter() as viewer:
        again = asked[-1]
        assert again not in (0, number)
        feed.begins(number, HEAD)
        feed.piece(number, key(b"from before"))
        assert await everything(viewer) == b""


async def test_another_connection_is_asked_anew() -> None:
    feed, first, second = DirectFeed(), [], []
    feed.connected(first.append)
    with feed.enter() as viewer:
        feed.begins(first[0], HEAD)
        feed.piece(first[0], key(b"a"))
        feed.connected(second.append)
        feed.piece(first[0], other(b"late"))
        feed.begins(second[0], HEAD)
        feed.piece(second[0], key(b"b"))
        assert await everything(viewer) == b"head a head b"
    assert second == [second[0], 0]


async def test_one_who_comes_after_the_end_sees_nothing() -> None:
    feed = DirectFeed()
    feed.close()
    with feed.enter() as viewer:
        assert [part async for part in viewer.parts()] == []
