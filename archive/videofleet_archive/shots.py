"""Where the best shots of tracks lie: `shots/<track id>.jpg` beside the results."""

from typing import Final

from videofleet_archive.store import Store

_SUFFIX: Final = ".jpg"


def shots_folder(prefix: str) -> str:
    """Where the shots of a run lie."""
    return f"{prefix}/shots"


def shot_name(track_id: int) -> str:
    """The key of a track's shot, from the folder of the results on."""
    return f"shots/{track_id}{_SUFFIX}"


def shot_key(prefix: str, track_id: int) -> str:
    """The key of a track's shot."""
    return f"{prefix}/{shot_name(track_id)}"


def stored_shots(store: Store, prefix: str) -> list[int]:
    """The tracks that have a shot in the archive, oldest first. Blocking."""
    names = (found.key.rpartition("/")[2] for found in store.listing(shots_folder(prefix)))
    numbers = (name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
    return sorted(int(number) for number in numbers if number.isascii() and number.isdigit())
