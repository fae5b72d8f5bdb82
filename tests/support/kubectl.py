"""What end-to-end tests do with a cluster, as a person would with kubectl."""

import itertools
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from examples.demo import tools

Json = dict[str, Any]
JOBS = "videojobs.videofleet.io"
PATIENCE = 300.0
"""Seconds that anything is waited for: longer than it takes on a machine that is busy with other things, too."""
_MARKER = "marker"
_MARK = "mark"
# kubectl turns tabs into columns of spaces.
_COLUMNS = r'{.metadata.name}|{.status.phase}|{.status.reason}|{.status.epoch}|{.metadata.annotations.mark}{"\n"}'


def eventually(check: Callable[[], Any], what: str, timeout: float = PATIENCE, interval: float = 0.2) -> Any:
    """The first truthy answer of `check`; AssertionError naming `what` and the last answer after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}; last seen: {answer!r}")
        time.sleep(interval)


EVERY_FRAME: Json = {"archive": {"detail": "frames"}}
"""Of a camera, too."""


def job_manifest(name: str, namespace: str, url: str | None = None, **spec: Any) -> Json:
    """A VideoJob with detection and tracking of people, whose log tells every frame."""
    steps = [{"model": "detect", "parameters": {"classes": ["person"]}}, {"model": "track"}]
    source = {**({"url": url} if url else {}), **spec.pop("source", {})}
    return {
        "apiVersion": "videofleet.io/v1alpha1",
        "kind": "VideoJob",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"source": source, "analytics": [{"steps": steps}], "outputs": EVERY_FRAME, **spec},
    }


def status(name: str, namespace: str) -> Json:
    """Status of a VideoJob, empty while it has none."""
    job = tools.get(JOBS, name, namespace)
    return (job or {}).get("status") or {}


def conditions(of: Json) -> dict[str, str]:
    """Status of each condition by its type."""
    return {condition["type"]: condition["status"] for condition in of.get("conditions", [])}


def await_phase(name: str, namespace: str, phase: str, reason: str | None = None) -> Json:
    """The status once the job is in this phase (for this reason)."""

    def check() -> Json | None:
        now = status(name, namespace)
        well = now.get("phase") == phase and reason in (None, now.get("reason"))
        return now if well else None

    try:
        return dict(eventually(check, f"{name} is {phase} {reason or ''}"))
    except AssertionError as error:
        raise AssertionError(f"{error}; its status: {json.dumps(status(name, namespace))}") from None


class Moves:
    """Every (phase, reason, epoch) that each job of a namespace went through, from a watch."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._seen: list[tuple[str, str, str, int]] = []
        self._numbers = itertools.count(1)
        self._mark = ""
        command = [tools.program("kubectl"), "--kubeconfig", tools.kubeconfig(), "get", JOBS, "-n", namespace]
        self._process = subprocess.Popen(
            [*command, "--watch", "-o", f"jsonpath={_COLUMNS}"], stdout=subprocess.PIPE, text=True
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            cells = line.rstrip("\n").split("|")
            # kubectl prints an empty line for a list that is empty.
            if len(cells) != 5:
                continue
            name, phase, reason, epoch, mark = cells
            if name == _MARKER:
                self._mark = mark
            elif phase:
                self._seen.append((name, phase, reason, int(epoch or 0)))

    def phases(self, name: str) -> list[str]:
        """Phases of a job in order, repeats taken out: all that were written before the call, and maybe more."""
        self.catch_up()
        return self._phases(name)

    def await_phase(self, name: str, phase: str) -> None:
        """Until the job has been in this phase, however short."""
        eventually(lambda: phase in self._phases(name), f"{name} has been {phase}")

    def reasons(self, name: str, phase: str) -> list[str]:
        """The reasons that a job gave while it was in this phase."""
        return [reason for job, told, reason, _ in list(self._seen) if (job, told) == (name, phase)]

    def catch_up(self) -> None:
        """Until the watch has told what was written before the call: it is behind the API server, by any time."""
        mark = str(next(self._numbers))
        tools.must("kubectl", "annotate", JOBS, _MARKER, f"{_MARK}={mark}", "--overwrite", "-n", self._namespace)
        eventually(lambda: self._mark == mark, f"kubectl's watch tells of mark {mark}")

    def _phases(self, name: str) -> list[str]:
        found = [phase for job, phase, _, _ in list(self._seen) if job == name]
        return [phase for index, phase in enumerate(found) if index == 0 or found[index - 1] != phase]

    def close(self) -> None:
        """End the watch."""
        self._process.terminate()
        self._process.wait()
        self._thread.join()


@contextmanager
def applied(manifest: Json) -> Iterator[Json]:
    """A manifest that is there while the block runs."""
    tools.apply(manifest)
    metadata = manifest["metadata"]
    try:
        yield manifest
    finally:
        group = manifest["apiVersion"].partition("/")[0] if "/" in manifest["apiVersion"] else ""
        kind = f"{manifest['kind'].lower()}.{group}" if group else manifest["kind"].lower()
        scope = ["-n", metadata["namespace"]] if "namespace" in metadata else []
        tools.must("kubectl", "delete", kind, metadata["name"], *scope, "--ignore-not-found", "--wait=true")


@contextmanager
def watching(namespace: str) -> Iterator[Moves]:
    """Moves of a namespace while the block runs."""
    with applied(job_manifest(_MARKER, namespace, "rtsp://marker.invalid/", enabled=False)):
        moves = Moves(namespace)
        try:
            # Nothing is missed from the first mark on.
            moves.catch_up()
            yield moves
        finally:
            moves.close()
