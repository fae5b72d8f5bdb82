"""Where the cluster comes from: this package's own processes, or kind where Docker and kind are there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from localcluster import cluster, kind, status, teardown
from localcluster.errors import LocalClusterError
from localcluster.gobuild import ensure_built
from localcluster.images.build import build_image
from localcluster.images.store import load_built
from localcluster.layout import Layout
from localcluster.parts import all_parts

MODE_VARIABLE = "VIDEOFLEET_CLUSTER"


class Backend(Protocol):
    """What the commands need of a cluster."""

    def up(self) -> None:
        """Bring it up."""

    def down(self) -> None:
        """Remove it."""

    def status(self) -> tuple[str, bool]:
        """A text for people, and whether all is well."""
        ...

    def kubeconfig(self) -> Path:
        """Path of the administrator's kubeconfig."""
        ...

    def tool(self, name: str) -> Path:
        """Path of kubectl or helm."""
        ...

    def load_image(self, name: str) -> None:
        """Make a built image known to the cluster."""

    def build_image(self, name: str, dockerfile: Path, context: Path, build_args: Mapping[str, str]) -> str:
        """Build an image and return its full name."""
        ...


class LocalBackend:
    """The cluster of this package."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def up(self) -> None:
        """Bring it up."""
        cluster.up(self._layout)

    def down(self) -> None:
        """Remove it."""
        teardown.down(self._layout)

    def status(self) -> tuple[str, bool]:
        """The supervisor's record, checked against the processes that live."""
        return status.report(self._layout, all_parts(self._layout))

    def kubeconfig(self) -> Path:
        """Path of the administrator's kubeconfig, which ``up`` writes."""
        if not self._layout.admin_kubeconfig.exists():
            raise LocalClusterError("there is no cluster; bring it up with: python3 -m localcluster up")
        return self._layout.admin_kubeconfig

    def tool(self, name: str) -> Path:
        """The built program."""
        ensure_built(self._layout, [name])
        return self._layout.bin / name

    def load_image(self, name: str) -> None:
        """Import what build-image made into containerd."""
        load_built(self._layout, cluster.snapshotter(self._layout), name)

    def build_image(self, name: str, dockerfile: Path, context: Path, build_args: Mapping[str, str]) -> str:
        """Build with buildah."""
        return build_image(self._layout, name, dockerfile, context, build_args)


def choose(env: Mapping[str, str], layout: Layout) -> Backend:
    """VIDEOFLEET_CLUSTER=local or kind; without it kind where Docker answers and kind is installed."""
    wanted = env.get(MODE_VARIABLE, "auto")
    if wanted not in ("auto", "local", "kind"):
        raise LocalClusterError(f"{MODE_VARIABLE}={wanted}: use local, kind or auto")
    if wanted == "local" or (wanted == "auto" and not kind.is_usable()):
        return LocalBackend(layout)
    return kind.KindBackend(layout)
