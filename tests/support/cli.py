"""`kubectl videojob` as the process that a person starts."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.out)


def environment(**further: str) -> dict[str, str]:
    """Of a command: the parts of this checkout on its path, nothing of the test's own cluster."""
    path = os.pathsep.join(str(REPOSITORY / part) for part in ("api", "cli"))
    kept = {key: value for key, value in os.environ.items() if key not in ("KUBECONFIG", "COLUMNS")}
    return kept | {"PYTHONPATH": path} | further


async def videojob(*arguments: str, **further: str) -> Ended:
    """Run a command to its end. Keywords: of its environment."""
    process = await begin(*arguments, **further)
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def begin(*arguments: str, **further: str) -> asyncio.subprocess.Process:
    """Start a command; the test reads what it prints."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "kubectl_videojob", *arguments),
        env=environment(**further),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@dataclass(frozen=True)
class Cli:
    """Commands about one namespace, with one operator."""

    kubeconfig: str
    namespace: str
    operator: str

    @property
    def _variables(self) -> dict[str, str]:
        return {"KUBECONFIG": self.kubeconfig, "VIDEOFLEET_OPERATOR": self.operator}

    async def __call__(self, command: str, *arguments: str) -> Ended:
        """Run a command to its end."""
        return await videojob(*command.split(), *arguments, "-n", self.namespace, **self._variables)

    async def begin(self, command: str, *arguments: str) -> asyncio.subprocess.Process:
        """Start a command."""
        return await begin(*command.split(), *arguments, "-n", self.namespace, **self._variables)
