"""Takes the letters of one outbox to one receiver, in order and each at least once."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from videofleet_archive.errors import ArchiveError
from videofleet_archive.outbox import Batch, Cursor
from videofleet_worker.outputs.letters import Letter
from videofleet_worker.outputs.outbox import Outbox
from videofleet_worker.outputs.outlet import Outlet
from videofleet_worker.outputs.sender import Message

_LOGGER: Final = logging.getLogger(__name__)
MAX_AGE: Final = 86400.0
"""Seconds after which a letter is given up."""
_NOTE_SECONDS: Final = 2.0
_RETRY_SECONDS: Final = 2.0

T = TypeVar("T")


class Composer(Protocol):
    """What a receiver makes of letters. It may change its mind while letters wait."""

    def wants(self, letter: Letter) -> bool:
        """Whether the receiver is to get it."""

    def message(self, letter: Letter, sequence: str, outbox: Outbox) -> Message:
        """As it is sent."""


class Courier:
    """Goes through an outbox from where the receiver has come. What it has delivered it notes every few seconds: after
    a crash those since then come again, under the same keys."""

    def __init__(self, outbox: Outbox, receiver: str, outlet: Outlet, composer: Composer, begin: Cursor) -> None:
        """`begin`: where a receiver begins of whom nothing was noted."""
        self._outbox = outbox
        self._receiver = receiver
        self._outlet = outlet
        self._composer = composer
        self._cursor = begin
        self._noted = begin
        self._noted_at = 0.0
        self._delivering: Letter | None = None
        outbox.reached(receiver, Cursor())
        self._task = asyncio.create_task(self._run(), name=f"letters to {outlet.name}")
        self._task.add_done_callback(_tell_failure)

    @property
    def waiting(self) -> int:
        """How many letters the receiver does not have yet; of a batch that is not at hand one."""
        count = 0
        for batch in self._outbox.behind(self._cursor):
            letters = self._outbox.known(batch)
            begin = self._cursor.count if batch.offset == self._cursor.offset else 0
            count += 1 if letters is None else sum(map(self._composer.wants, letters[begin:]))
        return count

    @property
    def lag(self) -> float:
        """Seconds since what is being delivered was told."""
        return 0.0 if self._delivering is None else max(0.0, time.time() - self._delivering.told)

    @property
    def is_done(self) -> bool:
        """Whether everything is delivered, and noted; or nothing more can be."""
        if self._task.done():
            return True
        return self._outbox.is_caught_up(self._cursor) and self._noted == self._cursor

    async def close(self, *, for_good: bool = False) -> None:
        """Leave the rest to whoever comes next; `for_good`: nobody will, the receiver is one no more."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if for_good:
            self._outbox.left(self._receiver)
        try:
            await self._note()
        except ArchiveError as error:
            _LOGGER.warning("what %s has may come again: %s", self._outlet.name, error)

    async def _run(self) -> None:
        noted = await _persistently(lambda: self._outbox.cursor(self._receiver))
        if noted is not None:
            self._cursor = self._noted = noted
        self._outbox.reached(self._receiver, self._cursor)
        while True:
            await self._take(await self._outbox.next(self._cursor))
            if self._outbox.is_caught_up(self._cursor):
                await _persistently(self._note)

    async def _take(self, batch: Batch) -> None:
        letters = await _persistently(lambda: self._outbox.letters(batch))
        begin = self._cursor.count if self._cursor.offset == batch.offset else 0
        for number, letter in enumerate(letters[begin:], begin):
            await self._deliver(batch, number, letter)
            self._cursor = Cursor(offset=batch.offset, count=number + 1)
            if time.monotonic() - self._noted_at > _NOTE_SECONDS:
                await self._try_to_note()
        self._cursor = Cursor(offset=batch.offset + 1)
        self._outbox.reached(self._receiver, self._cursor)

    async def _deliver(self, batch: Batch, number: int, letter: Letter) -> None:
        if self._composer.wants(letter):
            message = self._composer.message(letter, f"{batch.offset:016d}-{number:04d}", self._outbox)
            self._delivering = letter
            await self._outlet.deliver(message, lambda: self._given_up(letter))
            self._delivering = None

    def _given_up(self, letter: Letter) -> str | None:
        if self._outbox.is_too_long(self._cursor):
            return "too_many"
        return "too_old" if letter.told < time.time() - MAX_AGE else None

    async def _try_to_note(self) -> None:
        try:
            await self._note()
        except ArchiveError as error:
            _LOGGER.warning("cannot note what %s has: %s", self._outlet.name, error)

    async def _note(self) -> None:
        """Raises ArchiveError."""
        self._noted_at = time.monotonic()
        cursor = self._cursor
        if cursor != self._noted:
            await self._outbox.note(self._receiver, cursor)
            self._noted = cursor


def _tell_failure(task: asyncio.Task[None]) -> None:
    """Letters that cannot be understood stay where they are; other receivers go on."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _LOGGER.error("%s are left: %s: %s", task.get_name(), type(error).__name__, error)


async def _persistently(attempt: Callable[[], Awaitable[T]]) -> T:
    """What it gives, however long the store is away."""
    while True:
        try:
            return await attempt()
        except ArchiveError as error:
            _LOGGER.warning("the archive keeps letters to itself: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)
