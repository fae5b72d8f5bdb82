"""Images inside the cluster's containerd."""

import re
from pathlib import Path

from localcluster.console import step
from localcluster.layout import Layout
from localcluster.shell import run, run_logged

# Carried by the imported image itself, so that no second record can disagree with what containerd holds.
LABEL = "videofleet.local/image-id"


class ImageStore:
    """The images of one cluster."""

    def __init__(self, layout: Layout, snapshotter: str) -> None:
        self._ctr = [str(layout.bin / "ctr"), "--address", str(layout.containerd_socket), "--namespace", "k8s.io"]
        self._snapshotter = snapshotter
        self._log = layout.build_logs / "image-import.log"

    def loaded_id(self, name: str) -> str | None:
        """The image id under which ``name`` was imported; None where it was not."""
        return label_value(run([*self._ctr, "images", "list", f"name=={name}"]))

    def load(self, name: str, image_id: str, archive: Path) -> bool:
        """Import unless this very image is there already; returns whether it was imported."""
        if self.loaded_id(name) == image_id:
            return False
        with step(f"loading {name} ({archive.stat().st_size / 1e6:.0f} MB)") as current:
            argv = [*self._ctr, "images", "import", "--local", "--snapshotter", self._snapshotter, str(archive)]
            run_logged(argv, self._log, current)
        run([*self._ctr, "images", "label", name, f"{LABEL}={image_id}"])
        return True


def label_value(listing: str) -> str | None:
    """The image id among the labels in the output of ``ctr images list``."""
    found = re.search(rf"{re.escape(LABEL)}=([0-9a-f:sha]+)", listing)
    return found.group(1) if found else None
