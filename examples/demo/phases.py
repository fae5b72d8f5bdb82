"""Watch the phases of VideoJobs move."""

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from examples.demo import tools
from examples.demo.console import DemoError, clock, say
from examples.demo.tools import Json

Done = Callable[[dict[str, Json]], bool]
"""Given the status of each job by name: is it enough?"""

_QUIET = 15.0
"""Seconds without a change after which a line says that all is still going on."""
_CHUNK = 65536


def follow(namespace: str, names: list[str], done: Done, patience: float) -> dict[str, Json]:
    """Print each change of phase until `done`; DemoError with the last state after `patience` seconds of standstill.

    A slow machine may take as long as it needs: frames that are processed and phases never seen before are progress.
    """
    last_progress, gone = time.monotonic(), 0
    statuses: dict[str, Json] = {}
    phases: set[tuple[str, object]] = set()
    shown: dict[str, tuple[object, ...]] = {}
    with _watch(namespace) as changes:
        while not done(statuses):
            try:
                job = changes.get(timeout=_QUIET)
            except queue.Empty:
                _still(statuses, names)
            else:
                name = job["metadata"]["name"]
                statuses[name] = job.get("status", {})
                if name in names:
                    _show(name, statuses[name], shown)
                    _refuse_failure(name, statuses[name])
                    phases.add((name, statuses[name].get("phase")))
            so_far = len(phases) + sum(_processed(statuses.get(name, {})) for name in names)
            if so_far > gone:
                last_progress, gone = time.monotonic(), so_far
            elif time.monotonic() > last_progress + patience:
                raise DemoError(_standstill(statuses, names, patience))
    return statuses


def _processed(status: Json) -> int:
    """Frames of a source that has an end; a camera's would go on whatever else stands still."""
    return int((status.get("progress") or {}).get("processedFrames", 0))


def _refuse_failure(name: str, status: Json) -> None:
    if status.get("phase") == "INTERRUPTED" and status.get("finished"):
        raise DemoError(f"{name} failed and is not tried again: {status.get('message')}")


def _standstill(statuses: dict[str, Json], names: list[str], patience: float) -> str:
    last = {name: statuses.get(name, {}).get("phase") for name in names}
    return f"nothing has moved for {patience:.0f} s, the jobs are still {last}; `make status` says how the cluster is"


@contextmanager
def _watch(namespace: str) -> Iterator["queue.Queue[Json]"]:
    """Every job of a namespace as it is and as it changes; polling would miss what is short."""
    changes: queue.Queue[Json] = queue.Queue()
    command = [tools.program("kubectl"), "--kubeconfig", tools.kubeconfig(), "get", "videojobs.videofleet.io"]
    process = subprocess.Popen(
        [*command, "-n", namespace, "--watch", "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    reader = threading.Thread(target=_read, args=(process, changes), daemon=True)
    reader.start()
    try:
        yield changes
    finally:
        process.terminate()
        process.wait()
        reader.join()


def _read(process: "subprocess.Popen[bytes]", changes: "queue.Queue[Json]") -> None:
    """kubectl prints one JSON document after the other, over many lines each."""
    assert process.stdout is not None
    decoder, text = json.JSONDecoder(), ""
    while piece := process.stdout.read1(_CHUNK):  # type: ignore[attr-defined]  # a pipe is a BufferedReader
        text += piece.decode(errors="replace")
        while text := text.lstrip():
            try:
                document, end = decoder.raw_decode(text)
            except ValueError:
                break
            changes.put(document)
            text = text[end:]


def _still(statuses: dict[str, Json], names: list[str]) -> None:
    told = []
    for name in names:
        status = statuses.get(name, {})
        percent = (status.get("progress") or {}).get("percent", "")
        told.append(f"{name} {status.get('phase', '(new)')} {percent}".rstrip())
    say(f"    {clock()}  still: {', '.join(told)}")


def _show(name: str, status: Json, shown: dict[str, tuple[object, ...]]) -> None:
    phase, reason = status.get("phase", "(new)"), status.get("reason")
    epoch = status.get("epoch", 0)
    if shown.get(name) == (phase, reason, epoch):
        return
    shown[name] = (phase, reason, epoch)
    worker = (status.get("worker") or {}).get("name", "-")
    say(f"    {clock()}  {name:<10} {phase:<13} {reason or '-':<18} worker {worker:<12} {status.get('message', '')}")
