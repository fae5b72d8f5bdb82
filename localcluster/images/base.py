"""The base image: a minimal Debian made on this machine from its own mirrors."""

import hashlib
from pathlib import Path

from localcluster.console import step
from localcluster.errors import LocalClusterError
from localcluster.images.buildah import Buildah
from localcluster.images.hostsettings import apt_conf, debian_sources
from localcluster.layout import Layout
from localcluster.shell import run, run_logged

RELEASE = "bookworm"
BASE_NAME = f"localhost/videofleet-base:{RELEASE}-slim"
# Left out as in Debian's own slim images.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
_FORGET_MACHINE = 'rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/* "$1"/etc/apt/apt.conf.d/99mmdebstrap'


def ensure_base(layout: Layout, buildah: Buildah) -> str:
    """Make the base image where it is missing, and return its id."""
    archive = layout.images / f"base-{_recipe_key()}.tar"
    existing = buildah.image_id(BASE_NAME)
    if existing is not None and archive.exists():
        return existing
    if not archive.exists():
        _debootstrap(layout, archive)
    with step("importing the base image (usually 10 s)") as current:
        recipe = archive.with_suffix(".Dockerfile")
        recipe.write_text(f'FROM scratch\nADD {archive.name} /\nCMD ["bash"]\n')
        options = ["--file", str(recipe), "--tag", BASE_NAME, str(layout.images)]
        buildah.build(options, layout.build_logs / "image-base-import.log", current)
    made = buildah.image_id(BASE_NAME)
    if made is None:
        raise LocalClusterError(f"buildah made no image {BASE_NAME}; see {layout.build_logs / 'image-base-import.log'}")
    return made


def _recipe_key() -> str:
    return hashlib.sha256(repr((RELEASE, _LEFT_OUT, _FORGET_MACHINE)).encode()).hexdigest()[:12]


def _debootstrap(layout: Layout, archive: Path) -> None:
    sources = list(debian_sources(Path("/etc/apt"), RELEASE))
    if not sources:
        raise LocalClusterError(f"/etc/apt names no mirror of Debian {RELEASE}, so no base image can be made")
    work = layout.images / "base-work"
    work.mkdir(parents=True, exist_ok=True)
    places = []
    for name, text in sources:
        (work / name).write_text(text)
        places.append(str(work / name))
    (work / "apt.conf").write_text(_host_apt_conf())
    half = archive.with_name(f".half-{archive.name}")
    argv = ["mmdebstrap", "--variant=minbase", f"--aptopt={work / 'apt.conf'}", f"--customize-hook={_FORGET_MACHINE}"]
    argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    argv += ["--dpkgopt=path-include=/usr/share/doc/*/copyright", RELEASE, str(half), *places]
    with step("base image: minimal Debian (usually 40 s)") as current:
        run_logged(argv, layout.build_logs / "image-base.log", current)
    half.rename(archive)


def _host_apt_conf() -> str:
    """Proxy settings as for a build, with the certificates where the machine itself has them."""
    settings = apt_conf(run(["apt-config", "dump"], check=False))
    return "\n".join(line for line in settings.splitlines() if line.lower().startswith("acquire::http::")) + "\n"
