"""A writer of one log as a process of its own: `python -m tests.support.log_writer ARCHIVE PREFIX FRAMES`.

A frame now and then, and the end after so many.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support.archives import AT_ONCE, CountedCalls, chunk, mark, terminal, threads_over
from videofleet_archive.opening import own_log, see_log
from videofleet_archive.store import FolderArchive

_BETWEEN_FRAMES = 0.02


async def write(archive: Path, prefix: str, frames: int) -> None:
    """Own the log and write it to its end."""
    async with threads_over(FolderArchive(archive)) as threads:
        view = (await see_log(threads, prefix)).view
        owned = await own_log(view, 1, "writer", AT_ONCE, CountedCalls())
        assert owned.writer is not None
        for frame in range(frames):
            await owned.writer.append(chunk(frame, (1, 2)), mark(frame))
            await asyncio.sleep(_BETWEEN_FRAMES)
        await owned.writer.finish(terminal(frames), mark(frames))


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
