"""Mounts below a directory."""

import re
import tempfile
from pathlib import Path

from localcluster.shell import run, succeeds

_ESCAPE = re.compile(r"\\([0-7]{3})")


def mounts_below(mountinfo: str, directory: Path) -> list[str]:
    """Mount points at or below the directory, the deepest first (proc(5), /proc/PID/mountinfo, field 5)."""
    points = (_ESCAPE.sub(lambda code: chr(int(code.group(1), 8)), line.split()[4]) for line in mountinfo.splitlines())
    inside = [point for point in points if Path(point).is_relative_to(directory)]
    return sorted(inside, key=lambda point: point.count("/"), reverse=True)


def unmount_below(directory: Path) -> list[str]:
    """Unmount everything at or below the directory; returns what could not be unmounted."""
    # A mount can lie on another at the same point, hence the rounds.
    for _ in range(20):
        points = mounts_below(Path("/proc/self/mountinfo").read_text(), directory)
        if not points:
            return []
        for point in points:
            run(["umount", "--lazy", point], check=False)
    return mounts_below(Path("/proc/self/mountinfo").read_text(), directory)


def overlay_works(directory: Path) -> bool:
    """Whether the kernel mounts an overlay whose layers lie in this directory (not so on another overlay)."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".overlay-test-") as scratch:
        for name in ("lower", "upper", "work", "merged"):
            Path(scratch, name).mkdir()
        options = f"lowerdir={scratch}/lower,upperdir={scratch}/upper,workdir={scratch}/work"
        if not succeeds(["mount", "-t", "overlay", "overlay", "-o", options, f"{scratch}/merged"]):
            return False
        return succeeds(["umount", f"{scratch}/merged"])
