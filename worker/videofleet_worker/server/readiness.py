"""Whether the worker can take jobs: what the readiness probe shows."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from videofleet_archive.errors import ArchiveError, UnsuitableArchiveError

_LOGGER: Final = logging.getLogger(__name__)
_RETRY_SECONDS: Final = 2.0


class Readiness:
    """Named checks: None where all is well, else what is missing."""

    def __init__(self) -> None:
        self._checks: dict[str, str | None] = {"models": "not loaded yet", "archive": "not looked at yet"}

    def set(self, name: str, problem: str | None) -> None:
        """The outcome of a check."""
        self._checks[name] = problem

    def checks(self) -> dict[str, str | None]:
        """All outcomes."""
        return dict(self._checks)

    async def archive_verified(self, probe: Callable[[], None]) -> None:
        """Wait until the archive has been seen to be fit. Raises UnsuitableArchiveError where it never will be."""
        while True:
            try:
                await asyncio.to_thread(probe)
            except UnsuitableArchiveError:
                raise
            except ArchiveError as error:
                _LOGGER.warning("the archive is not there yet: %s", error)
                self.set("archive", str(error))
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self.set("archive", None)
                return

    async def watch_archive(self, probe: Callable[[], None], seconds: float) -> None:
        """Look at the archive again and again, every so many seconds; `probe` blocks and raises ArchiveError."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await asyncio.to_thread(probe)
                self.set("archive", None)
            except ArchiveError as error:
                self.set("archive", str(error))
