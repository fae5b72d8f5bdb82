"""Whether the worker can take jobs: what the readiness probe shows."""

import asyncio
from collections.abc import Callable
from typing import Final

from videofleet_archive.errors import ArchiveError

_PROBE_SECONDS: Final = 10.0


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

    async def watch_archive(self, probe: Callable[[], None]) -> None:
        """Look at the archive again and again; `probe` blocks and raises ArchiveError."""
        while True:
            try:
                await asyncio.to_thread(probe)
                self.set("archive", None)
            except ArchiveError as error:
                self.set("archive", str(error))
            await asyncio.sleep(_PROBE_SECONDS)
