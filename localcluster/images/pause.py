"""The image of the process that holds a pod's namespaces: one static file, packed without any tool."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from localcluster.layout import PAUSE_IMAGE


def _member(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _tar(members: list[tuple[str, bytes, int]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content, mode in members:
            _member(archive, name, content, mode)
    return out.getvalue()


def pause_archive(program: bytes, architecture: str) -> tuple[str, bytes]:
    """Image id and docker-archive of an image that holds only the pause program."""
    layer = _tar([("pause", program, 0o755)])
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        },
        sort_keys=True,
    ).encode()
    digest = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{digest}.json", "RepoTags": [PAUSE_IMAGE], "Layers": ["layer.tar"]}]
    members = [(f"{digest}.json", config, 0o644), ("layer.tar", layer, 0o644)]
    return f"sha256:{digest}", _tar([*members, ("manifest.json", json.dumps(manifest).encode(), 0o644)])


def write_pause_archive(program: Path, target: Path, architecture: str) -> str:
    """Write the archive and return its image id."""
    image_id, content = pause_archive(program.read_bytes(), architecture)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return image_id
