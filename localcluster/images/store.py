"""Records of built images: which inputs made which image, and where its archive lies."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path

from localcluster.console import say
from localcluster.errors import LocalClusterError
from localcluster.files import read_json, write_json
from localcluster.images.containerd import ImageStore
from localcluster.layout import Layout

_REPOSITORY = r"localhost(?:/[a-z0-9][a-z0-9._-]*)+"
_NAME = re.compile(rf"^{_REPOSITORY}(?::[A-Za-z0-9_][A-Za-z0-9._-]*)?$")
_ID_DIGITS = 12


@dataclass(frozen=True)
class Built:
    """One built image; ``name`` is the full name with its tag."""

    name: str
    inputs: str
    image_id: str


def check_name(name: str) -> None:
    """Only local names: anything else could be taken for an image of a registry, and be pulled."""
    if not _NAME.match(name):
        raise LocalClusterError(f"image name {name!r}: write it as localhost/NAME or localhost/NAME:TAG")


def has_tag(name: str) -> bool:
    """Whether the name carries a tag of the caller's choice."""
    return ":" in name


def full_name(name: str, image_id: str) -> str:
    """The name with its tag; without one the image's own id makes it, so that other content is another name.

    A manifest with such a name changes when the image does, and Kubernetes then rolls it out by itself.
    """
    return name if has_tag(name) else f"{name}:{image_id.removeprefix('sha256:')[:_ID_DIGITS]}"


def _stem(name: str) -> str:
    return re.sub(r"[/:]", "_", name)


def archive_of(layout: Layout, name: str) -> Path:
    """Where the archive of the latest image of this name lies."""
    return layout.images / f"{_stem(name)}.tar"


def read_built(layout: Layout, name: str) -> Built | None:
    """What was built last under this name, where its archive is still there."""
    content = read_json(layout.images / f"{_stem(name)}.json")
    return Built(**content) if content and archive_of(layout, name).exists() else None


def write_built(layout: Layout, name: str, built: Built) -> None:
    """Remember a build; ``name`` as it was asked for, with or without tag."""
    write_json(layout.images / f"{_stem(name)}.json", asdict(built))


def find_built(layout: Layout, name: str) -> tuple[Built, Path]:
    """The image and its archive, by the name asked for at the build or by the full name that the build printed."""
    for asked in (name, name.partition(":")[0]):
        built = read_built(layout, asked)
        if built is not None and name in (asked, built.name):
            return built, archive_of(layout, asked)
    raise LocalClusterError(
        f"{name} is not the latest image built here; build it with: python3 -m localcluster build-image {name} ..."
    )


def load_built(layout: Layout, snapshotter: str, name: str) -> None:
    """Import a built image into the cluster, unless this very image is there."""
    check_name(name)
    built, archive = find_built(layout, name)
    if not layout.containerd_socket.exists():
        raise LocalClusterError("there is no cluster to load into; bring it up with: python3 -m localcluster up")
    if not ImageStore(layout, snapshotter).load(built.name, built.image_id, archive):
        say(f"{built.name} is loaded already")
