"""A folder's archive, and threads for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.archives import threads_over
from videofleet_archive.store import FolderArchive
from videofleet_archive.threads import StoreThreads


@pytest.fixture
async def threads(tmp_path: Path) -> AsyncIterator[StoreThreads]:
    async with threads_over(FolderArchive(tmp_path / "archive")) as threads:
        yield threads
