"""Where things are, how much is measured, and how a program of a peer is run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Setup:
    """`frames` of a clip, `seconds` of a camera, `reconnects`, `overload_seconds`: how much a part that needs
    them measures."""

    repository: Path
    folder: Path
    rounds: int
    seeds: int
    frames: int = 300
    seconds: float = 20.0
    reconnects: int = 300
    overload_seconds: float = 600.0
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ | _ONE_THREAD)

    def command(self, script: str, *arguments: object, peer: str | None = None) -> list[str]:
        """How a script of peers/ is started: with our Python, or in the environment of a peer."""
        folder = {None: None, "norfair": ".venv-bench-norfair"}.get(peer, ".venv-bench")
        python = sys.executable if folder is None else str(self.repository / folder / "bin/python")
        return [python, str(PEERS / script), *map(str, arguments)]

    def run(self, script: str, *arguments: object, peer: str | None = None) -> str:
        """What it prints."""
        command = self.command(script, *arguments, peer=peer)
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=self.environment).stdout
