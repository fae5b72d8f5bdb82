"""Where the best shots of tracks lie: `shots/<track id>.jpg` beside the results.

The frame that a shot comes from lies at `outbox/frames/<track id>.jpg` until its receiver has it. Blocking.
"""

from typing import Final

from videofleet_archive.extent import outbox_folder
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
    """The tracks that have a shot in the archive, oldest first."""
    return list(_pictures(store, shots_folder(prefix)))


def frame_key(prefix: str, track_id: int) -> str:
    """The key of the frame that a track's shot comes from."""
    return f"{_frames_folder(prefix)}/{track_id}{_SUFFIX}"


def stored_frames(store: Store, prefix: str) -> dict[int, int]:
    """The bytes of the frames that are there, by track, oldest first."""
    return _pictures(store, _frames_folder(prefix))


def _frames_folder(prefix: str) -> str:
    return f"{outbox_folder(prefix)}/frames"


def _pictures(store: Store, folder: str) -> dict[int, int]:
    """The sizes of pictures that are named by a track."""
    found: dict[int, int] = {}
    for one in store.listing(folder):
        name = one.key.rpartition("/")[2]
        number = name.removesuffix(_SUFFIX)
        if name.endswith(_SUFFIX) and number.isascii() and number.isdigit():
            found[int(number)] = one.size
    return dict(sorted(found.items()))
