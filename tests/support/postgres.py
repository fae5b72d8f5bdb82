"""Debian's PostgreSQL on a free port of the loopback address, in a folder of the test's own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import wait_until

_OWNER = "postgres"


def _programs() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    assert versions, "PostgreSQL is not installed: apt-get install postgresql"
    return versions[-1]


def _as_owner() -> list[str]:
    """The server refuses to run as root."""
    return ["setpriv", "--reuid", _OWNER, "--regid", _OWNER, "--clear-groups"] if os.geteuid() == 0 else []


@contextmanager
def postgres(port: int) -> Iterator[str]:
    """The address of a running server, as SQLAlchemy takes it with asyncpg."""
    folder = Path(tempfile.mkdtemp(prefix="videofleet-postgres-"))
    if os.geteuid() == 0:
        owner = pwd.getpwnam(_OWNER)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    data, programs = folder / "data", _programs()
    usual = {"cwd": folder, "check": True, "capture_output": True}
    subprocess.run([*_as_owner(), programs / "initdb", "-D", data, "-U", "gateway", "-A", "trust", "-N"], **usual)
    server = subprocess.Popen(
        [*_as_owner(), programs / "postgres", "-D", data, "-p", str(port), "-k", folder, "-F"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        wait_until(lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0, "it answers", 60)
        yield f"postgresql+asyncpg://gateway@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)
