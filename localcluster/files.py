"""Files that are whole or absent, and a lock between processes."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcluster.console import say, step


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Write beside the target and rename, so that no reader sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(text)
    half.chmod(mode)
    half.rename(path)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, or an empty one where the file is absent."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return content


def write_json(path: Path, content: object) -> None:
    """Write atomically, for people to read as well."""
    write_atomically(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


@contextmanager
def exclusive(path: Path, purpose: str) -> Iterator[None]:
    """Hold the lock file at ``path``; tells when it has to wait for another process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        _acquire(lock.fileno(), path, purpose)
        try:
            yield
        finally:
            fcntl.flock(lock.fileno(), fcntl.LOCK_UN)


def _acquire(fd: int, path: Path, purpose: str) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    except BlockingIOError:
        say(f"  another process holds {path}: waiting until it has finished to {purpose}")
    with step("waiting for the other process") as waiting:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                waiting.tick()
                time.sleep(0.5)
