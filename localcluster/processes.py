"""Processes known by pid and start time, so that a number used again by another process is never ours."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Identity:
    """A process: its number and when it started, in clock ticks since boot."""

    pid: int
    start_ticks: int


def parse_stat(text: str) -> tuple[str, int]:
    """State letter and start time of ``/proc/PID/stat`` (proc(5), fields 3 and 22).

    The command name in brackets may itself hold blanks and brackets, so fields are counted after the last one.
    """
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[19])


def identify(pid: int, proc: Path = PROC) -> Identity | None:
    """The living process with this number; None where there is none (a zombie is none)."""
    try:
        state, start = parse_stat((proc / str(pid) / "stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else Identity(pid, start)


def is_alive(identity: Identity | None, proc: Path = PROC) -> bool:
    """Whether exactly this process still runs."""
    return identity is not None and identify(identity.pid, proc) == identity


def boot_id() -> str:
    """Changes with every boot of the machine."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def send(identity: Identity, number: signal.Signals) -> None:
    """Signal this very process; nothing happens if it is gone."""
    if is_alive(identity):
        # It may end between the look and the signal, which is what was wanted.
        with contextlib.suppress(ProcessLookupError):
            os.kill(identity.pid, number)


def wait_gone(identities: Iterable[Identity], timeout_s: float) -> list[Identity]:
    """Wait until all are gone; returns those that are still there at the end of the time."""
    deadline = time.monotonic() + timeout_s
    left = [identity for identity in identities if is_alive(identity)]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [identity for identity in left if is_alive(identity)]
    return left


def stop(identity: Identity, grace_s: float) -> None:
    """Ask to end, and insist after ``grace_s`` seconds."""
    send(identity, signal.SIGTERM)
    for stubborn in wait_gone([identity], grace_s):
        send(stubborn, signal.SIGKILL)
        wait_gone([stubborn], 5.0)


def all_processes(proc: Path = PROC) -> Iterator[tuple[Identity, list[str]]]:
    """Every living process with its arguments."""
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        identity = identify(int(entry.name), proc)
        if identity is None:
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield identity, arguments
