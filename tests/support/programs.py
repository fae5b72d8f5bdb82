"""The parts of this checkout as programs of their own: what their environment is, and ports for them."""

from __future__ import annotations

import itertools
import os
import random
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_BYTECODE = tempfile.TemporaryDirectory(prefix="videofleet-bytecode-")
COMPILED = {
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX") or _BYTECODE.name,
}
"""Environment of all programs that are started again and again in a test run, as in an image: compiled once."""
GATEWAY = ("api", "archive", "gateway", "kube")
OPERATOR = ("api", "kube", "operator")
WORKER = ("api", "archive", "worker")
"""Parts of the checkout that a program consists of."""
_PORTS_OF_A_PROCESS = 500
_LOWEST_PORT = 20_000
_RUNNER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Which of the processes that share a test run this is."""


def environment(*parts: str, variables: Mapping[str, str] | None = None, **settings: str) -> dict[str, str]:
    """That of a program with these parts of the checkout (`api`, `worker`, ...) on its path.

    `settings` become variables, VIDEOFLEET_ before their name in capitals, and go before `variables`.
    """
    path = os.pathsep.join(str(REPOSITORY / part) for part in parts)
    named = {f"VIDEOFLEET_{name.upper()}": value for name, value in settings.items()}
    return {**os.environ, **COMPILED, "PYTHONPATH": path, **(variables or {}), **named}


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of the loopback address that nobody has now.

    It is none that the kernel gives to who asks for any, and none that another process of the test run would pick:
    nobody takes it before it is used.
    """
    return next(port for port in _candidates if _is_free(port, kind))


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(type=kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _ports() -> Iterator[int]:
    """In turn, and beginning anywhere: another test run may be going on."""
    first = _LOWEST_PORT + _RUNNER * _PORTS_OF_A_PROCESS
    begin = random.randrange(_PORTS_OF_A_PROCESS)
    return itertools.cycle(first + (begin + step) % _PORTS_OF_A_PROCESS for step in range(_PORTS_OF_A_PROCESS))


_candidates = _ports()
