"""The video as it is given on the command line: a path or an address."""

import os
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from videofleet_api.source import SourcePolicy
from videofleet_clip.errors import FAILED, ClipError

_MANIFESTS: Final = frozenset({".yaml", ".yml", ".json"})
_EVERYWHERE: Final = ("0.0.0.0/0", "::/0")
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_LOCAL_NAMES: Final = frozenset({"localhost", "ip6-localhost"})


@dataclass(frozen=True, slots=True)
class Video:
    """A source with what it takes to open it. `roots` are folders whose files may be read, `name` is for people."""

    url: str
    name: str
    roots: tuple[Path, ...] = ()
    policy: SourcePolicy = field(default_factory=SourcePolicy)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


def video_of(given: str, username: str | None = None, password: str | None = None) -> Video:
    """The video that an argument means. Credentials in an address are taken out of it, those given go first."""
    if not given:
        raise ClipError("VIDEO is empty: give a file or an address")
    if "://" not in given:
        return _file(_at_home(given))
    try:
        parts = urlsplit(given)
    except ValueError as error:
        raise ClipError(f"VIDEO is no address: {error}: write it as SCHEME://HOST/PATH") from None
    if parts.scheme.lower() == "file":
        return _file(Path(unquote(parts.path)))
    host = parts.netloc.rpartition("@")[2]
    known = username or _unquoted(parts.username)
    secret = password or _unquoted(parts.password)
    return Video(
        parts._replace(netloc=host).geturl(),
        Path(unquote(parts.path)).stem or parts.hostname or parts.scheme,
        policy=_policy(parts.hostname or ""),
        username=known,
        password=secret,
    )


def folder_name(video: Video) -> str:
    """Where the results go when nobody says: NAME-results."""
    plain = re.sub(r"[^\w.-]+", "-", video.name).strip("-.")
    return f"{plain or 'video'}-results"


def _file(path: Path) -> Video:
    if path.suffix.lower() in _MANIFESTS:
        raise ClipError(f"{path} is no video: a manifest is given with -f {path}")
    try:
        if path.is_dir():
            raise ClipError(f"{path} is a folder: give a video in it")
        # Where it really is: the worker reads no file behind a link that leads out of the folders that it may read.
        real = path.resolve()
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its links lead in a circle"
        raise ClipError(f"{path} cannot be read: {reason}: give the path of a video", FAILED) from None
    # A name that is no UTF-8 can be opened, but neither printed nor written into documents.
    name = os.fsencode(path.stem).decode(errors="replace")
    return Video(real.as_uri(), name, roots=(real.parent,))


def _at_home(given: str) -> Path:
    try:
        return Path(given).expanduser()
    except RuntimeError:
        # Of nobody here: a file may be called so.
        return Path(given)


def _unquoted(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def _policy(host: str) -> SourcePolicy:
    """Everything is open that a worker without a policy reaches, and beyond it what the address itself names.

    So a camera on a cable of its own (169.254.0.0/16) or a server here can be named, but nothing that is fetched from
    elsewhere leads there.
    """
    if host.lower() in _LOCAL_NAMES:
        return SourcePolicy(allowed_cidrs=[*_EVERYWHERE, *_LOOPBACK])
    try:
        named = ip_address(host)
    except ValueError:
        return SourcePolicy()
    return SourcePolicy(allowed_cidrs=[*_EVERYWHERE, f"{named}/{named.max_prefixlen}"])


def password_here(username: str | None, variable: str = "VIDEOFLEET_PASSWORD") -> str | None:
    """The password from the environment, where a user is named. Arguments can be read by everybody on the machine."""
    return os.environ.get(variable) or None if username else None
