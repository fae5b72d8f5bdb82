"""Runs the camera simulator of examples/ for a test, as the process that users run."""

from __future__ import annotations

import json
import selectors
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.programs import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = REPOSITORY / "examples" / "camera-simulator" / "simulator.py"
MEDIA = REPOSITORY / "examples" / "media"
CLIP = MEDIA / "vtest.mp4"
SMALL_CLIP = MEDIA / "vtest-384x288.mp4"
# GStreamer's Python bindings come from the distribution, so only its own interpreter has them.
SYSTEM_PYTHON = "/usr/bin/python3"
START_SECONDS = 90.0
STOP_SECONDS = 60.0
_PORTS = ("rtsp", "http", "control")


class SimulatorError(Exception):
    """The simulator did not start, refused an order, or did not stop; the message has its own words."""


@dataclass(frozen=True)
class CameraState:
    """One camera as the control reports it."""

    path: str
    fault: str
    viewers: int


class CameraSimulator:
    """A simulator on free ports of the loopback address, from `start` (or `with`) to `stop`.

    `arguments` are further flags of simulator.py, such as `["--cameras", "2"]`. After a stop it can be started again;
    `keep_ports` then makes it come back where it was, as a camera would after a power cut; nobody else is given those
    ports meanwhile.
    """

    def __init__(self, arguments: Sequence[str] = (), keep_ports: bool = False) -> None:
        self._arguments = tuple(arguments)
        self._keep_ports = keep_ports
        self._process: subprocess.Popen[str] | None = None
        self._ports = dict.fromkeys(_PORTS, 0)
        # Appending, so that reading the log here does not move the place where the process writes.
        self._log = tempfile.TemporaryFile("a+")  # noqa: SIM115 - needed as long as this object, closed in __exit__

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            self._log.close()

    def start(self) -> None:
        """Starts the process and waits until it listens."""
        command = [SYSTEM_PYTHON, str(PROGRAM)]
        for name in _PORTS:
            command += [f"--{name}-port", str((self._ports[name] or free_port()) if self._keep_ports else 0)]
        self._process = subprocess.Popen(
            [*command, *self._arguments], stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        line = self._first_line(self._process)
        if not line:
            self.kill()
            raise SimulatorError(f"the camera simulator did not start within {START_SECONDS:.0f} s:\n{self.log()}")
        self._ports = json.loads(line)

    def stop(self) -> int:
        """Asks the process to end and waits for it; returns its exit status, 0 where it had ended before."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.wait()
            raise SimulatorError(f"the camera simulator ignored SIGTERM:\n{self.log()}") from error
        finally:
            _close_output(process)

    def kill(self) -> None:
        """Ends the process at once, as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            _close_output(process)

    @property
    def pid(self) -> int:
        """The process id of the running simulator."""
        if self._process is None:
            raise SimulatorError("the camera simulator does not run; call start() first")
        return self._process.pid

    def port(self, name: str) -> int:
        """The port of `rtsp`, `http`, `https` or `control`."""
        return self._ports[name]

    def rtsp(self, path: str, user: str | None = None, password: str | None = None) -> str:
        """The RTSP URL of a camera such as `/cam1`, with credentials in it where given."""
        login = ""
        if user is not None:
            login = f"{urllib.parse.quote(user, safe='')}:{urllib.parse.quote(password or '', safe='')}@"
        return f"rtsp://{login}127.0.0.1:{self.port('rtsp')}{path}"

    def http(self, path: str) -> str:
        """The HTTP URL of a file such as `/vtest.mp4`."""
        return f"http://127.0.0.1:{self.port('http')}{path}"

    def https(self, path: str) -> str:
        """The HTTPS URL of a file; only where the simulator was started with `--https-port`."""
        return f"https://127.0.0.1:{self.port('https')}{path}"

    def control(self, path: str) -> str:
        """A URL of the control, such as that of `/faults`."""
        return f"http://127.0.0.1:{self.port('control')}{path}"

    def fault(self, path: str, fault: str) -> None:
        """Puts a fault (`stop`, `silence`, `freeze`, ... or `none`) on one camera, or on all: `*`."""
        body = json.dumps({"path": path, "fault": fault}).encode()
        try:
            with urllib.request.urlopen(self.control("/faults"), data=body, timeout=60) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise SimulatorError(f"fault {fault} on {path}: {error.read().decode()}") from error

    def cameras(self) -> dict[str, CameraState]:
        """Every camera's state by its path."""
        with urllib.request.urlopen(self.control("/faults"), timeout=60) as answer:
            states = [CameraState(**fields) for fields in json.load(answer)["cameras"]]
        return {state.path: state for state in states}

    def log(self) -> str:
        """What the simulator has logged so far."""
        self._log.seek(0)
        return self._log.read()

    def _first_line(self, process: subprocess.Popen[str]) -> str:
        """The line that names the ports; empty when the process ends first or takes too long."""
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            return process.stdout.readline() if selector.select(START_SECONDS) else ""


def _close_output(process: subprocess.Popen[str]) -> None:
    if process.stdout is not None:
        process.stdout.close()
