"""Debian packages that the cluster needs."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from localcluster.console import say, step
from localcluster.errors import LocalClusterError
from localcluster.layout import Layout
from localcluster.shell import run, run_logged

REQUIRED = (
    "buildah",
    "ca-certificates",
    "conntrack",
    "containernetworking-plugins",
    "iproute2",
    "iptables",
    "mmdebstrap",
    "mount",
    "openssl",
    "runc",
)
POLICY = Path("/usr/sbin/policy-rc.d")


def missing_packages(dpkg_status: str, required: Sequence[str] = REQUIRED) -> list[str]:
    """Those of ``required`` that ``dpkg-query -f '${Package} ${Status}\\n'`` does not call installed."""
    installed = {line.split()[0] for line in dpkg_status.splitlines() if line.endswith(" installed")}
    return [name for name in required if name not in installed]


@contextmanager
def _no_services_started() -> Iterator[None]:
    """Keep the packages' own services from starting: ours run beside them with their own directories."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def ensure_packages(layout: Layout) -> None:
    """Install what is missing, and say which."""
    if not Path("/usr/bin/apt-get").exists():
        raise LocalClusterError("apt-get is not here: localcluster needs Debian 12, or use kind with Docker")
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${Status}\\n", *REQUIRED]
    missing = missing_packages(run(query, check=False))
    if not missing:
        return
    say(f"installing Debian packages: {' '.join(missing)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step("package lists (usually 5 s)") as current:
        run_logged(["apt-get", "update"], layout.build_logs / "apt-update.log", current, env=env)
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    with step(f"{len(missing)} packages (usually 20 s)") as current, _no_services_started():
        run_logged(install, layout.build_logs / "apt-install.log", current, env=env)
