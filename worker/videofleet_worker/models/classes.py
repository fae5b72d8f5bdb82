"""From the class names that a step asks for to the numbers that a model gives."""

import difflib
from collections.abc import Sequence

from videofleet_worker.models.manifest import ModelManifest


def class_ids(manifest: ModelManifest, names: Sequence[str]) -> tuple[int, ...] | None:
    """The numbers of the classes named by label or alias, ascending; None, meaning every class, where none is named.

    Raises ValueError that names the first unknown class and the closest valid ones.
    """
    if not names:
        return None
    return tuple(sorted({_class_id(manifest, name) for name in names}))


def canonical_label(manifest: ModelManifest, name: str) -> str:
    """The label that results carry for a class that a step calls `name`. Raises ValueError for an unknown one."""
    return manifest.labels[_class_id(manifest, name)]


def _class_id(manifest: ModelManifest, name: str) -> int:
    wanted = name.strip().lower()
    label = manifest.aliases.get(wanted, wanted)
    if label not in manifest.labels:
        raise ValueError(_unknown(manifest, name))
    return manifest.labels.index(label)


def _unknown(manifest: ModelManifest, name: str) -> str:
    close = difflib.get_close_matches(name.lower(), [*manifest.labels, *manifest.aliases], n=3, cutoff=0.5)
    hint = f"the closest are {', '.join(close)}" if close else f"it has {', '.join(manifest.labels)}"
    return f"model {manifest.name} has no class {name!r}; {hint}"
