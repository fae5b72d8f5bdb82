"""Operators that are started again whenever they end, as a Deployment's pods are."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from tests.support.operator_process import OperatorProcess

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
"""From the Debian package faketime."""


class Keeper:
    """One replica: a process that runs again a moment after its end, whatever the reason."""

    def __init__(self, process: OperatorProcess, name: str) -> None:
        self.name = name
        self.process = process
        self.starts = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run it until `stop`."""
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End it for good."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.process.kill()

    async def suspend(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT so much later."""
        process = self.process.process
        process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            process.send_signal(signal.SIGCONT)

    async def _keep(self) -> None:
        while True:
            if not self.process.running:
                self.starts += 1
                self.process.launch()
            await asyncio.sleep(0.1)


def skewed(seconds: float) -> dict[str, str]:
    """Environment of a process whose wall clock is so much ahead; its monotonic time is left alone."""
    if not seconds:
        return {}
    assert FAKETIME.exists(), f"{FAKETIME} is not there: install the Debian package faketime (make venv does)"
    return {
        "LD_PRELOAD": os.fspath(FAKETIME),
        "FAKETIME": f"{seconds:+.0f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }
