"""The control groups below which all pods run, on both versions of cgroups."""

import time
from pathlib import Path

from localcluster.layout import CGROUP
from localcluster.processes import Identity, identify

CGROUP_MOUNT = Path("/sys/fs/cgroup")
# "unified" is the version 2 tree that a machine with version 1 may have beside the others.
V1_HIERARCHIES = (
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "net_cls",
    "perf_event",
    "pids",
    "systemd",
    "unified",
)


def roots(mount: Path = CGROUP_MOUNT) -> list[Path]:
    """Our group in every hierarchy of the machine (one only with version 2)."""
    if (mount / "cgroup.controllers").exists():
        return [mount / CGROUP]
    return [mount / name / CGROUP for name in V1_HIERARCHIES if (mount / name).is_dir()]


def ensure_cgroups() -> None:
    """The kubelet wants its parent group to exist."""
    for root in roots():
        _enable_controllers(root.parent)
        root.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            _inherit(root, name)


def _enable_controllers(parent: Path) -> None:
    # Version 2 hands a controller to children only where the parent says so; the kubelet asks for all of these.
    available = parent / "cgroup.controllers"
    if available.exists():
        wanted = {"cpu", "cpuset", "hugetlb", "io", "memory", "pids"} & set(available.read_text().split())
        (parent / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(wanted)))


def _inherit(group: Path, name: str) -> None:
    # Version 1 starts a cpuset empty, and no process can be put into an empty one.
    path = group / name
    if path.exists() and not (group / "cgroup.controllers").exists() and not path.read_text().strip():
        path.write_text((group.parent / name).read_text())


def processes() -> set[Identity]:
    """Every process in our groups."""
    found: set[Identity] = set()
    for root in roots():
        for members in root.rglob("cgroup.procs"):
            pids = (int(word) for word in members.read_text().split())
            found |= {identity for identity in map(identify, pids) if identity is not None}
    return found


def remove_cgroups(timeout_s: float = 5.0) -> list[Path]:
    """Remove our groups, children first; returns those that stayed busy to the end of the time."""
    deadline = time.monotonic() + timeout_s
    while True:
        left = [root for root in roots() if root.exists() and not _remove_tree(root)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def _remove_tree(root: Path) -> bool:
    groups = sorted((path for path in root.rglob("*") if path.is_dir()), key=lambda path: len(path.parts), reverse=True)
    for group in [*groups, root]:
        try:
            group.rmdir()
        except OSError:
            return False
    return True
