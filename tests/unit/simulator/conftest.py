"""One simulator for all tests of its streams, healed after each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cameras import CameraSimulator
from tests.unit.simulator.certificates import write_certificate

ROTATED_PASSWORD = "n3w-secret"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    return write_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def running_simulator(certificate: tuple[Path, Path]) -> Iterator[CameraSimulator]:
    """The shared process; tests use `simulator`."""
    flags = ["--cameras", "8", "--rotated-password", ROTATED_PASSWORD, "--https-port", "0"]
    with CameraSimulator([*flags, "--tls-cert", str(certificate[0]), "--tls-key", str(certificate[1])]) as simulator:
        yield simulator


@pytest.fixture
def simulator(running_simulator: CameraSimulator) -> Iterator[CameraSimulator]:
    """The simulator with every camera healthy, and healthy again afterwards."""
    yield running_simulator
    running_simulator.fault("*", "none")
