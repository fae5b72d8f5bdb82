"""What a process and all that it started take of the machine, as the kernel counts it."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def family(pid: int) -> list[int]:
    """The process and its living descendants."""
    children = defaultdict(list)
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children[int(fields[1])].append(int(entry.name))
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        left += children[found[-1]]
    return found


def cpu_seconds(pid: int) -> float:
    """Processor seconds of the family so far, those of members that have ended and were waited for included."""
    while True:
        members = family(pid)
        found = [_stat(member) for member in members]
        # One that ends meanwhile is neither there nor yet counted to its parent, which was looked at before.
        if None not in found and set(family(pid)) == set(members):
            return sum(int(field) for fields in found if fields for field in fields[11:15]) / _TICKS


def memory(pid: int) -> float:
    """MiB of the family: what is shared among processes counts in parts (PSS). Without what is mapped of files on disk:
    of libraries a process has the larger part, the fewer others of the machine happen to use them."""
    total = 0
    for member in family(pid):
        try:
            lines = (_PROC / str(member) / "smaps_rollup").read_text(encoding="ascii").splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
    return total / 1024


def waited(pid: int) -> float:
    """Seconds that the family's living threads have been ready to run while others had the processors."""
    total = 0
    for member in family(pid):
        for file in (_PROC / str(member) / "task").glob("*/schedstat"):
            try:
                total += int(file.read_text(encoding="ascii").split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    return total / 1e9


def _stat(pid: int) -> list[str] | None:
    """The fields after the name: state first, then the parent."""
    try:
        return (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
