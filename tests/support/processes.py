"""Processes that others have started, as the kernel tells of them."""

from __future__ import annotations

import contextlib
from pathlib import Path


def children(pid: int) -> list[int]:
    """Those that any thread of a process has started; of one that is gone, none."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            # A thread, and the process itself, may have ended since it was listed.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, (task / "children").read_text().split())
    return found


def descendants(pid: int) -> list[int]:
    """All that a process has started, and what those have."""
    own = children(pid)
    return own + [each for one in own for each in descendants(one)]
