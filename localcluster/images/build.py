"""``build-image``: an ordinary Dockerfile, built only when something that it depends on has changed."""

from collections.abc import Mapping
from pathlib import Path

from localcluster.console import say, step
from localcluster.errors import LocalClusterError
from localcluster.files import exclusive
from localcluster.images.base import BASE_NAME, RELEASE, ensure_base
from localcluster.images.buildah import Buildah
from localcluster.images.digest import input_digest
from localcluster.images.hostsettings import Mount, prepare
from localcluster.images.ignore import ignore_file
from localcluster.images.store import Built, archive_of, check_name, full_name, has_tag, read_built, write_built
from localcluster.layout import Layout
from localcluster.packages import ensure_packages
from localcluster.shell import require_root

BASE_ARGUMENT = "BASE_IMAGE"


def build_image(layout: Layout, name: str, dockerfile: Path, context: Path, build_args: Mapping[str, str]) -> str:
    """Build unless the same inputs have made the image before, and return its full name."""
    require_root("building an image needs mounts")
    check_name(name)
    _check_inputs(dockerfile, context)
    with exclusive(layout.cache / "locks" / "images.lock", "build images"):
        ensure_packages(layout)
        buildah = Buildah(layout)
        try:
            return _build(layout, buildah, name, dockerfile, context, build_args)
        finally:
            buildah.release()


def _check_inputs(dockerfile: Path, context: Path) -> None:
    if not dockerfile.is_file():
        raise LocalClusterError(f"--file {dockerfile}: there is no such Dockerfile")
    if not context.is_dir():
        raise LocalClusterError(f"--context {context}: there is no such directory")


def _build(
    layout: Layout, buildah: Buildah, name: str, dockerfile: Path, context: Path, build_args: Mapping[str, str]
) -> str:
    base_id = ensure_base(layout, buildah)
    arguments = {BASE_ARGUMENT: BASE_NAME, **build_args}
    used = [buildah.image_id(value) or "" for value in arguments.values() if value.startswith("localhost/")]
    inputs = input_digest(dockerfile, context, arguments, " ".join([base_id, *used]))
    before = read_built(layout, name)
    if before is not None and before.inputs == inputs:
        say(f"{before.name} is up to date")
        return before.name
    tag = name if has_tag(name) else f"{name}:latest"
    options = build_options(tag, dockerfile, context, arguments, prepare(layout.cache / "build", RELEASE))
    archive = archive_of(layout, name)
    log = layout.build_logs / f"image-{archive.stem}.log"
    with step(f"building {name}") as current:
        buildah.build(options, log, current)
        image_id = buildah.image_id(tag)
        if image_id is None:
            raise LocalClusterError(f"buildah made no image {tag}; see {log}")
        built = Built(full_name(name, image_id), inputs, image_id)
        if before is None or before.image_id != image_id:
            buildah.save(image_id, built.name, archive, log.with_suffix(".push.log"), current)
    write_built(layout, name, built)
    buildah.prune()
    return built.name


def build_options(
    name: str, dockerfile: Path, context: Path, arguments: Mapping[str, str], mounts: list[Mount]
) -> list[str]:
    """Options of ``buildah build``."""
    options = ["--file", str(dockerfile), "--tag", name]
    ignore = ignore_file(dockerfile, context)
    options += ["--ignorefile", str(ignore)] if ignore else []
    for key, value in sorted(arguments.items()):
        options += ["--build-arg", f"{key}={value}"]
    for mount in mounts:
        options += ["--volume", mount.volume]
    return [*options, str(context)]
