"""Every frame of a source is analysed, or counted under the cause for which it was not."""

import asyncio
import mmap
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress

import pytest

from tests.support.openrequests import open_request
from tests.unit.worker.decode.conftest import MakeSource
from videofleet_api.codes import DropCause
from videofleet_worker.decode import serving
from videofleet_worker.decode.channel import ParentChannel, ParentGone
from videofleet_worker.decode.decoder import Decoded
from videofleet_worker.decode.footage import OnPacket
from videofleet_worker.decode.frame import Frame
from videofleet_worker.decode.messages import Message, ParentMessage, Progress
from videofleet_worker.decode.sampling import Sampling
from videofleet_worker.decode.serving import Serving
from videofleet_worker.decode.shelf import RingShelf
from videofleet_worker.decode.synthetic import parse
from videofleet_worker.decode.testing import SyntheticFootage
from videofleet_worker.models.turns import Turns
from videofleet_worker.pipeline.flow import every_frame, newest_frame
from videofleet_worker.sources.errors import SourceError
from videofleet_worker.sources.reconnect import ReconnectPolicy

FRAMES = 200
ONE = "test://pattern?width=64&height=48&fps=200&frames=200"
OF_RECORDED = {DropCause.SAMPLING, DropCause.DECODE_ERROR}
SAMPLINGS = pytest.mark.parametrize("sampling", [Sampling(), Sampling("fps", 70)], ids=["all", "sampled"])


async def _slowly(frame: Frame) -> None:
    await asyncio.sleep(0.02)


async def _served(answered: AsyncGenerator[tuple[Frame, None], None]) -> int:
    """A live one ends with an error: its camera has gone."""
    served = 0
    async with asyncio.timeout(60), aclosing(answered):
        with suppress(SourceError):
            async for frame, _ in answered:
                frame.release()
                served += 1
    return served


@SAMPLINGS
async def test_of_a_live_source_that_is_too_fast(make_source: MakeSource, sampling: Sampling) -> None:
    source = make_source(ONE, kind="live", sampling=sampling, reconnect=ReconnectPolicy(window=0.0))
    answered = newest_frame(source.frames(), _slowly, Turns(lambda: 1), source.counters.drop)

    served = await _served(answered)

    await source.close()
    assert source.counters.behind == FRAMES
    assert served + sum(source.counters.dropped.values()) == FRAMES
    assert source.counters.dropped[DropCause.BUSY] > 0


@SAMPLINGS
async def test_of_a_recorded_source_whatever_its_consumer_takes(make_source: MakeSource, sampling: Sampling) -> None:
    source = make_source(ONE, kind="recorded", sampling=sampling)

    served = await _served(every_frame(source.frames(), _slowly, Turns(lambda: 1), 3))

    await source.close()
    assert source.counters.behind == FRAMES
    assert served + sum(source.counters.dropped.values()) == FRAMES
    assert set(source.counters.dropped) <= OF_RECORDED
    assert sampling != Sampling() or served == FRAMES


async def test_a_most_of_frames_is_of_those_that_are_analysed(make_source: MakeSource) -> None:
    """Of a live source not all that are delivered are: it goes on until whoever analyses them has enough."""
    source = make_source("test://pattern?width=64&height=48&fps=200", kind="live", max_frames=3)
    answered = newest_frame(source.frames(), _slowly, Turns(lambda: 1), source.counters.drop)

    async with asyncio.timeout(60), aclosing(answered):
        for _ in range(6):
            frame, _ = await anext(answered)
            frame.release()
    await source.close()


class _TakenBack(SyntheticFootage):
    """One frame more is left out, then one fewer, then three more."""

    def frames(self, on_packet: OnPacket) -> Iterator[Decoded | None]:
        for change in (1, -1, 3):
            self.choice.dropped[DropCause.SAMPLING] += change
            self.tally.received += 1
            yield None


class _Listener:
    """Hears what is said, and says nothing."""

    def __init__(self) -> None:
        self.heard: list[Message] = []

    def send(self, message: Message, data: bytes = b"") -> None:
        self.heard.append(message)

    def wait(self) -> ParentMessage:
        raise ParentGone

    def poll(self) -> list[ParentMessage]:
        return []


def test_what_was_told_as_left_out_and_is_taken_after_all_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_REPORT_EVERY", 0.0)
    request, listener = open_request(ONE), _Listener()
    shelf = RingShelf(request, ParentChannel(socket.socket()), mmap.mmap(-1, 4096))
    Serving(request, _TakenBack(parse(ONE), request, live=False), listener, shelf).run()

    counts = [message.dropped for message in listener.heard if isinstance(message, Progress)]
    assert [one.get(DropCause.SAMPLING, 0) for one in counts] == [1, 0, 2]
