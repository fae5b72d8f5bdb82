"""The folder of results: nothing in it is touched before all of the new is there."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from videofleet_clip.errors import FAILED, ClipError

RESULTS: Final = "results.json"
FRAMES: Final = "frames.ndjson"
FILM: Final = "annotated.mp4"
SHEET: Final = "contact-sheet.jpg"
SNAPSHOT: Final = "snapshot.jpg"
SHOTS: Final = "shots"
KINDS: Final = {
    RESULTS: "the tracks and counts",
    FRAMES: "the objects of each frame, a line each",
    FILM: "the video with what was found",
    SHEET: "the best picture of each track, on one sheet",
    SNAPSHOT: "the frame with the most in it",
    SHOTS: "the best picture of each track, cut out at full resolution",
}
"""What the results of an analytics may consist of."""
_STAGING: Final = ".partial-"


class ResultFolder:
    """Where the results go. They are made in a hidden folder inside it and moved to their places at the end."""

    def __init__(self, target: Path, *, force: bool) -> None:
        """Raises ClipError where something is there already and `force` does not allow to replace it."""
        self.target = target
        try:
            self._made = not target.exists()
            if not self._made and not target.is_dir():
                raise ClipError(f"{target} is not a folder: give another one with --out")
            if not force and any(not each.name.startswith(_STAGING) for each in _entries(target)):
                raise ClipError(f"{target} is not empty: give another folder with --out, or --force to replace results")
            target.mkdir(parents=True, exist_ok=True)
            self.staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=target))
        except OSError as error:
            message = f"{target} cannot be written: {error.strerror}: give another folder with --out"
            raise ClipError(message, FAILED) from None

    def publish(self, analytics: str, *, alone: bool, made: Mapping[str, Path]) -> Path:
        """Move the results of one analytics to their place: the folder itself where it is the only one, else a folder
        of its name. Those of an earlier run that have no successor are removed. Returns the place."""
        place = self.target if alone else self.target / analytics
        place.mkdir(exist_ok=True)
        for name in KINDS:
            old = place / name
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
            if name in made and made[name].exists():
                os.replace(made[name], old)
        return place

    def close(self) -> None:
        """Remove what is not results; also the folder itself where it is new and nothing came into it."""
        shutil.rmtree(self.staging, ignore_errors=True)
        if self._made and not _entries(self.target):
            self.target.rmdir()


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
