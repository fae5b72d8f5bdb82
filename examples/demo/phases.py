"""Watch the phases of VideoJobs move."""

import time
from collections.abc import Callable

from examples.demo import tools
from examples.demo.console import DemoError, clock, say
from examples.demo.tools import Json

Done = Callable[[dict[str, Json]], bool]
"""Given the status of each job by name: is it enough?"""


def follow(namespace: str, names: list[str], done: Done, timeout: float) -> dict[str, Json]:
    """Print each change of phase until `done`; DemoError with the last state if it takes longer than `timeout`."""
    deadline = time.monotonic() + timeout
    shown: dict[str, tuple[object, ...]] = {}
    while True:
        statuses = {
            job["metadata"]["name"]: job.get("status", {})
            for job in tools.get_all("videojobs.videofleet.io", namespace)
        }
        for name in names:
            _show(name, statuses.get(name, {}), shown)
        if done(statuses):
            return statuses
        if time.monotonic() > deadline:
            last = {name: statuses.get(name, {}).get("phase") for name in names}
            raise DemoError(f"after {timeout:.0f} s the jobs are still {last}; look with `make status`")
        time.sleep(0.25)


def phase_is(name: str, *phases: str) -> Done:
    """Whether one job is in one of these phases."""
    return lambda statuses: statuses.get(name, {}).get("phase") in phases


def _show(name: str, status: Json, shown: dict[str, tuple[object, ...]]) -> None:
    phase, reason = status.get("phase", "(new)"), status.get("reason")
    epoch = status.get("epoch", 0)
    if shown.get(name) == (phase, reason, epoch):
        return
    shown[name] = (phase, reason, epoch)
    worker = (status.get("worker") or {}).get("name", "-")
    say(f"    {clock()}  {name:<10} {phase:<13} {reason or '-':<18} worker {worker:<12} {status.get('message', '')}")
