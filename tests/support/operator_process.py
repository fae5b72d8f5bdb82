"""The operator as the process that it is in its container."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support import programs

START_SECONDS = 180.0
POLL_SECONDS = 0.05


class OperatorProcess:
    """`python -m videofleet_operator` on a free port of the loopback address. One object is one replica.

    It can be started again after its end; the log goes on in the same file.
    """

    def __init__(
        self, log: Path, kubeconfig: str, *, environment: Mapping[str, str] | None = None, **settings: str
    ) -> None:
        """`settings`: by the name of the setting, without VIDEOFLEET_. `environment`: further variables."""
        self.log_path = log
        image = "localhost/videofleet-worker:simulated"
        usual = {"worker_image": image, "listen_host": "127.0.0.1", "listen_port": "0"}
        variables = {"KUBECONFIG": kubeconfig, **(environment or {})}
        self._environment = programs.environment(*programs.OPERATOR, variables=variables, **(usual | settings))
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._port = 0

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process."""
        assert self._process is not None, "start() comes first"
        return self._process

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start it and return at once."""
        self._port = 0
        self._log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "videofleet_operator"], env=self._environment, stdout=log, stderr=log
            )

    async def start(self) -> None:
        """Start it and wait until it is ready. AssertionError with its log when it ends instead."""
        self.launch()
        await self.until_ready()

    async def until_ready(self) -> None:
        """Wait for /readyz."""
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            assert self.running, f"the operator ended with {self.process.returncode}:\n{self.log()}"
            assert time.monotonic() < deadline, f"not ready after {START_SECONDS:g} s:\n{self.log()}"
            await asyncio.sleep(POLL_SECONDS)

    def is_ready(self) -> bool:
        """Whether /readyz says so."""
        return self.get("/readyz")[0] == 200

    def kill(self) -> None:
        """SIGKILL, as when its node dies."""
        if self.running:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    async def terminate(self, seconds: float = START_SECONDS) -> int:
        """SIGTERM, as its pod's deletion; the exit code. It is killed when it does not end in time."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended(seconds)

    async def ended(self, seconds: float = START_SECONDS) -> int:
        """Wait for its end; the exit code."""
        try:
            return await asyncio.to_thread(self.process.wait, seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the operator had not ended after {seconds:g} s:\n{self.log()}") from None

    # What it says

    @property
    def port(self) -> int:
        """Port of its health endpoint; 0 until it listens."""
        if not self._port:
            # Looked for until it is there: the log of thousands of jobs is long.
            started = [record["port"] for record in self.records() if record["message"] == "operator started"]
            self._port = int(started[-1]) if started else 0
        return self._port

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a request to its health endpoint; 0 while nobody answers."""
        port = self.port
        if not port:
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metrics(self) -> Mapping[str, float]:
        """Samples by name and labels, as Prometheus writes them."""
        lines = [line for line in self.get("/metrics")[1].splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    @property
    def leads(self) -> bool:
        """Whether it says that it leads."""
        return self.running and self.metrics().get("videofleet_operator_leader") == 1

    def log(self) -> str:
        """What it wrote since its last start."""
        return self.log_path.read_bytes()[self._log_start :].decode()

    def records(self) -> list[dict[str, Any]]:
        """The complete records of its log since its last start."""
        lines = self.log().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]
