"""How many processors this process may really use."""

import math
import os
from pathlib import Path

_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def usable_cpus(affinity: int, cpu_max: str | None) -> int:
    """Processors, at least 1, from those a process may be scheduled on and the contents of its cgroup's `cpu.max`.

    `cpu.max` holds a quota and a period in microseconds, or `max` and a period. A container with a limit of 2
    processors on a machine of 64 sees 64; a session with 64 threads would be throttled most of the time.
    """
    quota, _, period = (cpu_max or "max").strip().partition(" ")
    if quota == "max":
        return max(affinity, 1)
    return max(min(affinity, math.ceil(int(quota) / int(period))), 1)


def count_usable_cpus() -> int:
    """`usable_cpus` of this process; without a cgroup limit, all that it may be scheduled on."""
    cpu_max = _CPU_MAX.read_text(encoding="ascii") if _CPU_MAX.is_file() else None
    return usable_cpus(len(os.sched_getaffinity(0)), cpu_max)
