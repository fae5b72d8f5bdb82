"""From the log of a run to the files that people get."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from videofleet_api.names import archive_prefix
from videofleet_api.results import RunResult, Track
from videofleet_archive.closing import summarise_finished
from videofleet_archive.results import stored_documents
from videofleet_archive.store import FolderArchive
from videofleet_clip.folder import FILM, FRAMES, KINDS, RESULTS, SHEET, ResultFolder
from videofleet_clip.screen import clock
from videofleet_clip.sheet import MOST, Entry, draw_sheet
from videofleet_clip.watch import Seen
from videofleet_worker.jobs.assignments import Job


@dataclass(frozen=True, slots=True)
class Published:
    """The results of one analytics: the files that there are, by what they are, all in `place`."""

    result: RunResult
    place: Path
    files: tuple[Path, ...]


class Workplace:
    """Where the files of a run are made."""

    def __init__(self, folder: ResultFolder, job: Job) -> None:
        self.archive = folder.staging / "archive"
        self._folder = folder
        self._job = job

    def film(self, analytics: str) -> Path:
        """Where its annotated video is written."""
        return self._folder.staging / f"{analytics}.mp4"

    def publish(self, analytics: str, seen: Seen) -> Published:
        """Make what is missing from the finished log, and move all to its place. Blocking.

        Raises OSError, ArchiveError and ArchiveCorruptError.
        """
        entry = self._job.entry
        prefix = archive_prefix(entry.namespace, entry.uid, entry.run, analytics)
        stored = self.archive / prefix
        self._write_frames(prefix, stored / FRAMES)
        # What was seen of a live source is over for good here, and has a summary, too.
        summarise_finished(FolderArchive(self.archive), prefix, live=True)
        result = RunResult.model_validate_json((stored / RESULTS).read_bytes())
        if entries := list(_entries(result.tracks, stored, seen)):
            draw_sheet(entries, stored / SHEET)
        made = {name: stored / name for name in KINDS} | {FILM: self.film(analytics)}
        alone = len(self._job.spec.analytics) == 1
        place = self._folder.publish(analytics, alone=alone, made=made)
        return Published(result, place, tuple(place / name for name in made if (place / name).exists()))

    def _write_frames(self, prefix: str, path: Path) -> None:
        with path.open("wb") as file:
            for document in stored_documents(FolderArchive(self.archive), prefix):
                file.write(document + b"\n")


def _entries(tracks: Iterable[Track], stored: Path, seen: Seen) -> Iterable[Entry]:
    """Of the tracks that have a picture: the longest, in the order of their numbers."""
    pictured = [track for track in tracks if track.best_shot]
    longest = sorted(pictured, key=lambda track: -track.frames_seen)[:MOST]
    for track in sorted(longest, key=lambda track: track.track_id):
        first, last = seen.tracks.get(track.track_id, (0.0, 0.0))
        title = f"{track.track_id}  {track.class_}  {track.best_confidence:.2f}"
        below = track.text.splitlines()[0] if track.text else f"{clock(first)} to {clock(last)}"
        yield Entry((stored / str(track.best_shot)).read_bytes(), title, below)
