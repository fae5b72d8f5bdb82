"""buildah with storage of our own, kept in the cache."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from localcluster.console import Step
from localcluster.layout import Layout
from localcluster.mounts import overlay_works, unmount_below
from localcluster.shell import run, run_logged

KEPT_FREE = 20 * 2**30
"""Bytes of free disk below which old builds are dropped."""


class Buildah:
    """One storage; chroot isolation, so that no container runtime and no network namespace is needed."""

    def __init__(self, layout: Layout) -> None:
        self.home = layout.cache / "buildah"
        driver = "overlay" if overlay_works(self.home) else "vfs"
        self._argv = ["buildah", "--root", str(self.home / driver), "--runroot", str(self.home / f"{driver}-run")]
        self._argv += ["--storage-driver", driver]

    def image_id(self, name: str) -> str | None:
        """``sha256:...`` of an image; None where there is none of this name."""
        listed = run([*self._argv, "images", "--json", "--no-trunc", name], check=False)
        found = json.loads(listed) if listed.strip().startswith("[") else []
        return f"sha256:{found[0]['id'].removeprefix('sha256:')}" if found else None

    def build(self, options: Sequence[str], log: Path, current: Step) -> None:
        """``buildah build`` with a log file and a clock."""
        run_logged([*self._argv, "build", "--isolation", "chroot", "--layers", "--pull-never", *options], log, current)

    def save(self, image_id: str, name: str, archive: Path, log: Path, current: Step) -> None:
        """Write a docker-archive that carries ``name``; uncompressed, as it is read once, on this machine."""
        half = archive.with_name(f".{archive.name}.half")
        half.unlink(missing_ok=True)
        run_logged(
            [*self._argv, "push", image_id.removeprefix("sha256:"), f"docker-archive:{half}:{name}"], log, current
        )
        half.rename(archive)

    def prune(self) -> None:
        """Drop images that have lost their name to a newer build, once the disk fills up.

        Not before: among them are the stages and steps that the next build takes from here.
        """
        if shutil.disk_usage(self.home).free > KEPT_FREE:
            return
        run([*self._argv, "rmi", "--prune"], check=False)

    def release(self) -> None:
        """Unmount what the storage leaves mounted between two builds."""
        unmount_below(self.home)
