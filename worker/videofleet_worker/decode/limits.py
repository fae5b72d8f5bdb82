"""Hard limits of a decoding child, which the kernel keeps between two looks of its parent."""

import resource
from pathlib import Path
from typing import Final

_OPEN_FILES: Final = 128
_KIB: Final = 1024
# Of what is only reserved. A page table of all of it takes a few megabytes.
_ADDRESSES: Final = 4 * 2**30
# What the parent stops a child at is less, so that it is the parent who says why.
_GRACE: Final = 1.25
_SPARE: Final = 16 * 2**20


def limit_memory(more: int) -> None:
    """Let this process have `more` bytes of memory than it has now, and a little; then none is to be had."""
    now = _sizes()
    data = now["VmData"] + round(more * _GRACE)
    _lower(resource.RLIMIT_DATA, data, data + _SPARE)
    _lower(resource.RLIMIT_AS, now["VmSize"] + round(more * _GRACE) + _ADDRESSES)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)


def spare_memory() -> None:
    """What was kept back, to say with that there is no more."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _lower(which: int, soft: int, hard: int | None = None) -> None:
    _, before = resource.getrlimit(which)
    highest = soft if hard is None else hard
    if before != resource.RLIM_INFINITY:
        highest = min(highest, before)
    resource.setrlimit(which, (min(soft, highest), highest))


def _sizes() -> dict[str, int]:
    """Bytes by the names that the kernel gives them."""
    lines = (line.split() for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return {words[0].rstrip(":"): int(words[1]) * _KIB for words in lines if len(words) == 3 and words[2] == "kB"}
