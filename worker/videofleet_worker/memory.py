"""How much memory each decoding child may take, from what the container may take; what was freed goes back."""

import asyncio
import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MIB: Final = 1024 * 1024
WORKER_SHARE: Final = 768 * _MIB
"""Bytes kept for the worker itself: its models, frames on their way to them, results not yet stored."""
# A child was measured at 65 MB with 4K of one reference picture; more of them can add a few hundred.
LEAST: Final = 128 * _MIB
MOST: Final = 768 * _MIB
# To one byte of frames that are handed over a child gets so many of its own.
_OWN_TO_FRAMES: Final = 2
_CGROUPS: Final = Path("/sys/fs/cgroup")
# Version 2 first. Version 1 says "no limit" as the highest number of whole pages, 2 to the 63rd less one page or so.
_FILES: Final = ("memory.max", "memory/memory.limit_in_bytes")
_UNLIMITED: Final = 2**60
_GIVE_BACK_SECONDS: Final = 300.0
_TRIM: Final = ctypes.CDLL(None).malloc_trim


def container_memory(cgroups: Path = _CGROUPS) -> int | None:
    """Bytes that this container may take; None where there is no limit, or none that can be read."""
    for name in _FILES:
        try:
            text = (cgroups / name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        return int(text) if text.isdecimal() and int(text) < _UNLIMITED else None
    return None


@dataclass(frozen=True)
class DecoderMemory:
    """Bytes that a decoding child may take: of its own, and in the frames that it hands over."""

    own: int = MOST
    frames: int = MOST // _OWN_TO_FRAMES


USUAL: Final = DecoderMemory()
"""Where the container has no limit."""


def decoder_memory(container: int | None, capacity: int) -> DecoderMemory:
    """Bytes for each of `capacity` decoding children, so that one that grows is stopped before the kernel ends all.

    `container`: bytes that the whole container may take, None without a limit. A container too small for `LEAST`
    bytes a child is overcommitted: most children need less.
    """
    if container is None:
        return USUAL
    frames = (container - WORKER_SHARE) // capacity // (_OWN_TO_FRAMES + 1)
    own = min(MOST, max(LEAST, _OWN_TO_FRAMES * frames))
    return DecoderMemory(own, own // _OWN_TO_FRAMES)


def give_back() -> None:
    """Return memory that this process has freed to the system; takes a few milliseconds. Any thread may call it."""
    _TRIM(0)


async def keep_giving_back() -> None:
    """Do that now and then, without an end.

    The C library keeps what a thread has freed for that thread: each one that has merged a log once would keep for
    good what that took, and there are more of them the more streams there are.
    """
    while True:
        await asyncio.sleep(_GIVE_BACK_SECONDS)
        await asyncio.to_thread(give_back)
