"""A digest of everything that decides what a build makes."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from localcluster.images.ignore import context_files, ignore_file, parse_rules

_CHUNK = 1024 * 1024


def input_digest(dockerfile: Path, context: Path, build_args: Mapping[str, str], base_id: str) -> str:
    """SHA-256 over Dockerfile, context files (path, executable bit, content or link target), arguments and base."""
    digest = hashlib.sha256()
    _add(digest, "base", base_id.encode())
    _add(digest, "dockerfile", dockerfile.read_bytes())
    for key, value in sorted(build_args.items()):
        _add(digest, f"argument {key}", value.encode())
    ignore = ignore_file(dockerfile, context)
    rules = parse_rules(ignore.read_text()) if ignore else []
    for relative in sorted(context_files(context, rules)):
        _add_file(digest, relative, context / relative)
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", name: str, content: bytes) -> None:
    # Lengths keep two different sets of inputs from running together into the same bytes.
    digest.update(f"{len(name)} {name} {len(content)} ".encode() + content)


def _add_file(digest: "hashlib._Hash", relative: str, path: Path) -> None:
    if path.is_symlink():
        _add(digest, f"link {relative}", os.readlink(path).encode())
        return
    if not path.is_file():
        return  # a socket or a pipe is never copied
    executable = bool(path.stat().st_mode & 0o111)
    inner = hashlib.sha256()
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK):
            inner.update(chunk)
    _add(digest, f"file {relative} {executable}", inner.digest())
