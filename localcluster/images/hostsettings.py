"""What this machine needs to reach its package mirrors, as files to mount into a build and nowhere else.

Company proxies, private certificate authorities and mirrors are settings of the machine, not of an image: they
are mounted while a build runs and are absent from what it makes.
"""

import configparser
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from localcluster.shell import run

AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
MOUNTED = "/run/videofleet-build"
_DEBIAN_COMPONENTS = {"main", "contrib", "non-free", "non-free-firmware"}
_SIGNED_BY = re.compile(r"(?im)^(signed-by:\s*)(/\S+)|(signed-by=)(/[^\]\s,]+)")


@dataclass(frozen=True)
class Mount:
    """A directory or file of the machine, at a place in the build."""

    source: Path
    target: str
    options: str = "ro"

    @property
    def volume(self) -> str:
        """As ``buildah --volume`` takes it."""
        return f"{self.source}:{self.target}:{self.options}"


def prepare(directory: Path, release: str, env: Mapping[str, str] = os.environ) -> list[Mount]:
    """Write the files below ``directory`` and return the mounts of a build; ``release`` is Debian's code name."""
    settings, caches = directory / "settings", directory / "downloads"
    shutil.rmtree(settings, ignore_errors=True)
    settings.mkdir(parents=True)
    apt, pip = settings / "apt", settings / "pip.conf"
    write_apt(apt, release)
    pip.write_text(pip_conf(pip_settings(env)))
    mounts = [Mount(apt, "/etc/apt"), Mount(pip, "/etc/pip.conf")]
    if AUTHORITIES.exists():
        shutil.copyfile(AUTHORITIES, settings / "ca-certificates.crt")
        mounts.append(Mount(settings / "ca-certificates.crt", f"{MOUNTED}/ca-certificates.crt"))
    for name, target in (("pip", f"{MOUNTED}/pip-cache"), ("apt", "/var/cache/apt/archives")):
        (caches / name / "partial").mkdir(parents=True, exist_ok=True)
        mounts.append(Mount(caches / name, target, "rw"))
    return mounts + _wheel_mounts(env)


def _wheel_mounts(env: Mapping[str, str]) -> list[Mount]:
    """Local directories of wheels, where the machine's pip is told of some that hold any."""
    places = pip_settings(env).get("find-links", "").split()
    return [Mount(Path(one), one) for one in places if one.startswith("/") and Path(one).is_dir() and os.listdir(one)]


def pip_settings(env: Mapping[str, str]) -> dict[str, str]:
    """pip's global settings on this machine: its files, the later over the earlier, then PIP_* variables."""
    home = Path(env["HOME"]) if "HOME" in env else Path.home()
    named = [Path(env["PIP_CONFIG_FILE"])] if "PIP_CONFIG_FILE" in env else []
    found: dict[str, str] = {}
    for path in (Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"), home / ".config/pip/pip.conf", *named):
        parser = configparser.RawConfigParser()
        parser.read(path)
        for section in ("global", "install"):
            found |= dict(parser.items(section)) if parser.has_section(section) else {}
    for key, value in env.items():
        if key.startswith("PIP_") and key != "PIP_CONFIG_FILE":
            found[key.removeprefix("PIP_").lower().replace("_", "-")] = value
    return found


def pip_conf(settings: Mapping[str, str]) -> str:
    """pip.conf of the build: the machine's settings with the places that hold inside the build."""
    kept = {
        key: value
        for key, value in settings.items()
        if key not in ("cert", "cache-dir", "target", "user", "require-virtualenv")
    }
    if AUTHORITIES.exists():
        kept["cert"] = f"{MOUNTED}/ca-certificates.crt"
    kept["cache-dir"] = f"{MOUNTED}/pip-cache"
    kept["root-user-action"] = "ignore"
    indented = {key: value.replace("\n", "\n  ") for key, value in sorted(kept.items())}
    return "[global]\n" + "".join(f"{key} = {value}\n" for key, value in indented.items())


def write_apt(directory: Path, release: str) -> None:
    """An /etc/apt with the machine's Debian mirrors, their keys, its proxy and its passwords, and no more."""
    for name in ("sources.list.d", "apt.conf.d", "preferences.d", "trusted.gpg.d", "auth.conf.d", "keyrings"):
        (directory / name).mkdir(parents=True)
    host = Path("/etc/apt")
    for name in ("trusted.gpg.d", "auth.conf.d"):
        if (host / name).is_dir():
            shutil.copytree(host / name, directory / name, dirs_exist_ok=True)
    for name, text in debian_sources(host, release):
        (directory / "sources.list.d" / name).write_text(_with_keys_copied(text, directory / "keyrings"))
    (directory / "apt.conf.d" / "50machine").write_text(apt_conf(run(["apt-config", "dump"], check=False)))


def debian_sources(host: Path, release: str) -> Iterator[tuple[str, str]]:
    """File name and text of the machine's sources, reduced to the entries of this Debian release."""
    for path in [host / "sources.list", *sorted((host / "sources.list.d").glob("*"))]:
        if not path.is_file() or path.suffix not in (".list", ".sources"):
            continue
        keep = _deb822_entries if path.suffix == ".sources" else _one_line_entries
        kept = keep(path.read_text(), release)
        if kept:
            yield path.name, kept


def _deb822_entries(text: str, release: str) -> str:
    kept = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines = [one for one in paragraph.splitlines() if not one.startswith("#")]
        fields = {key.strip().lower(): value.strip() for key, _, value in (one.partition(":") for one in lines)}
        if fields.get("enabled", "yes") != "no" and _is_debian(
            fields.get("suites", ""), fields.get("components", ""), release
        ):
            kept.append("\n".join(lines) + "\n")
    return "\n".join(kept)


def _one_line_entries(text: str, release: str) -> str:
    kept = []
    for line in text.splitlines():
        found = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?\S+\s+(\S+)\s+(.*)$", line.strip())
        if found and _is_debian(found.group(1), found.group(2), release):
            kept.append(line + "\n")
    return "".join(kept)


def _is_debian(suites: str, components: str, release: str) -> bool:
    named = components.split("#")[0].split()
    return (
        any(suite.startswith(release) for suite in suites.split()) and bool(named) and set(named) <= _DEBIAN_COMPONENTS
    )


def _with_keys_copied(text: str, keyrings: Path) -> str:
    """Keys lie where the machine has them; in the build they lie beside the sources."""

    def copied(found: re.Match[str]) -> str:
        lead, path = (found.group(1), found.group(2)) if found.group(1) else (found.group(3), found.group(4))
        shutil.copyfile(path, keyrings / Path(path).name)
        return f"{lead}/etc/apt/keyrings/{Path(path).name}"

    return _SIGNED_BY.sub(copied, text)


def apt_conf(dumped: str) -> str:
    """Proxy and certificate settings of ``apt-config dump``; hooks and clean-up rules of the machine stay out."""
    kept = [line for line in dumped.splitlines() if re.match(r"(?i)acquire::(https?|retries)\b", line)]
    kept = [line for line in kept if not re.match(r"(?i)acquire::https::cainfo", line)]
    if AUTHORITIES.exists():
        kept.append(f'Acquire::https::CAInfo "{MOUNTED}/ca-certificates.crt";')
    # Downloaded packages lie in a directory of the machine that outlives the build.
    return "\n".join([*kept, 'APT::Keep-Downloaded-Packages "true";', 'APT::Sandbox::User "root";']) + "\n"
