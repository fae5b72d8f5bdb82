"""Kubeconfig files of the plain kind, which name files or a token; all others are left to the `kubernetes` package."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_CLUSTER = {"server", "certificate-authority", "insecure-skip-tls-verify", "tls-server-name", "proxy-url"}
_USER = {"client-certificate", "client-key", "token"}


class CredentialsError(Exception):
    """No usable credentials; the message names the file or variable at fault."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of an API server and of who we are; `ca`, `cert` and `key` are paths."""

    server: str
    authorization: str | None = field(default=None, repr=False)
    """The header."""
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    verify: bool = True
    server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)


def read_plain(path: str, context: str | None = None) -> Found | None:
    """What a kubeconfig says; None where that takes more than reading it, or where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            document = yaml.load(file, _LOADER)
        cluster, user = _of_context(document, context)
    except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError):
        return None
    if not cluster.keys() <= _CLUSTER or not user.keys() <= _USER or not all(map(_is_text, user.values())):
        return None
    if not _is_text(cluster.get("server")):
        return None
    folder = Path(path).parent
    return Found(
        server=cluster["server"],
        authorization=f"Bearer {user['token'].strip()}" if "token" in user else None,
        ca=_beside(folder, cluster.get("certificate-authority")),
        cert=_beside(folder, user.get("client-certificate")),
        key=_beside(folder, user.get("client-key")),
        verify=not cluster.get("insecure-skip-tls-verify", False),
        server_name=cluster.get("tls-server-name"),
        proxy=cluster.get("proxy-url"),
    )


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _of_context(document: Any, name: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cluster and user of a context."""
    context = _named(document["contexts"], name or document["current-context"])["context"]
    cluster = _named(document["clusters"], context["cluster"])["cluster"]
    user = _named(document["users"], context["user"])["user"]
    return dict(cluster), dict(user or {})


def _named(entries: Any, name: str) -> Any:
    return {entry["name"]: entry for entry in entries}[name]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _beside(folder: Path, path: str | None) -> str | None:
    """Paths are relative to the file that they stand in."""
    return None if path is None else str(folder / path)
