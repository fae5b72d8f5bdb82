"""Writers die at any call of the store, answers get lost, old writers come back: every frame is told exactly once."""

import asyncio
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.archives import (
    FaultyStore,
    chunk,
    ends_of_events,
    frames_of,
    ids_of,
    mark,
    open_epoch,
    stored_log,
    terminal,
    threads_over,
)
from videofleet_archive import log
from videofleet_archive.acquire import ResumePoint
from videofleet_archive.errors import ArchiveError, FencedError
from videofleet_archive.threads import StoreThreads
from videofleet_archive.writer import LogWriter, SealPolicy

FRAMES = 12


@dataclass(frozen=True)
class Life:
    """One epoch: it writes so many frames, in segments of about so many bytes; from its `dies_at`-th call of the store
    on nothing answers, that call itself with or without effect; it may come back after the next epoch has begun."""

    frames: int
    segment_bytes: int
    dies_at: int
    takes_effect: bool
    comes_back: bool


_lives = st.lists(
    st.builds(
        Life,
        frames=st.integers(0, FRAMES),
        segment_bytes=st.integers(1, 1500),
        dies_at=st.integers(1, 30),
        takes_effect=st.booleans(),
        comes_back=st.booleans(),
    ),
    max_size=5,
)


class _Dying:
    """The fault of one life."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._calls = 0
        self.dead = False

    def revive(self) -> None:
        self.dead = False
        self._calls = -1_000_000

    def __call__(self, method: str, key: str, late: bool) -> None:
        if self.dead:
            raise ArchiveError("dead")
        if not late:
            self._calls += 1
        if self._calls == self._life.dies_at and late == self._life.takes_effect:
            self.dead = True
            raise ArchiveError("dies")


async def _live(threads: StoreThreads, epoch: int, life: Life) -> tuple[LogWriter, _Dying] | None:
    """Live one life; its writer, if it got that far."""
    dying = _Dying(life)
    mine = threads.with_store(FaultyStore(threads.store, dying))
    try:
        opened = await open_epoch(mine, epoch, policy=SealPolicy(seconds=0, segment_bytes=life.segment_bytes))
    except ArchiveError:
        return None
    if opened.writer is None:
        return None
    begin = _next_frame(opened.resume)
    for frame in range(begin, min(begin + life.frames, FRAMES)):
        await opened.writer.append(chunk(frame), mark(frame))
        # The sealing goes on in between, so that death meets it at different steps.
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0.0005)
    return opened.writer, dying


def _next_frame(resume: ResumePoint | None) -> int:
    return resume.sidecar.frame_index + 1 if resume else 0


async def _story(lives: list[Life]) -> bytes:
    async with threads_over() as threads:
        stale: list[tuple[LogWriter, _Dying]] = []
        for epoch, life in enumerate(lives, 1):
            lived = await _live(threads, epoch, life)
            if lived is not None:
                stale.append(lived) if life.comes_back else await lived[0].abandon()
        last = await open_epoch(threads, len(lives) + 1)
        if last.writer is not None:
            for frame in range(_next_frame(last.resume), FRAMES):
                await last.writer.append(chunk(frame), mark(frame))
        for writer, dying in stale:
            await _come_back(writer, dying)
        if last.writer is not None:
            await last.writer.finish(terminal(FRAMES - 1), mark(FRAMES - 1))
        return stored_log(threads.store)


async def _come_back(writer: LogWriter, dying: _Dying) -> None:
    """The store answers again, and the old writer goes on as if nothing had happened."""
    dying.revive()
    try:
        await writer.append(chunk(666), mark(666))
        await writer.close()
    except FencedError:
        return
    raise AssertionError("an old writer wrote into a log that it does not own")


@settings(max_examples=60, deadline=None)
@given(_lives)
def test_every_frame_is_told_exactly_once(lives: list[Life]) -> None:
    data = asyncio.run(_story(lives))
    assert frames_of(data) == list(range(FRAMES))
    assert ids_of(data) == ends_of_events(data)
    assert log.is_finished(data)
