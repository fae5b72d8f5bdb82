"""What was found, as tables for people."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from videofleet_api.results import RunResult, Track
from videofleet_clip.folder import KINDS
from videofleet_clip.screen import clock
from videofleet_clip.watch import Seen
from videofleet_worker.pipeline.plan import AnalyticsPlan

_MOST: Final = 40
"""Tracks in a table; results.json has all."""


def print_found(console: Console, result: RunResult, seen: Seen, plan: AnalyticsPlan) -> None:
    """The tracks of an analytics, or where it tracks nothing its classes; then what zones and lines counted."""
    if not seen.classes:
        console.print(nothing_found(plan))
    elif plan.tracker is not None:
        _print_tracks(console, result.tracks, seen)
    else:
        console.print(_table(("class", "objects", "best confidence"), _class_rows(seen)))
    for zone in result.zones or ():
        words = [f"entered {_counts(zone.entered)}", f"left {_counts(zone.left)}", f"inside {_counts(zone.inside)}"]
        console.print(f"zone {zone.name}: {', '.join(words)}")
    for line in result.lines or ():
        ways = f"left to right {_counts(line.left_to_right)}, right to left {_counts(line.right_to_left)}"
        console.print(f"line {line.name}: {ways}")


def nothing_found(plan: AnalyticsPlan) -> str:
    """What was looked for in vain, how sure a model had to be of it, and what to try."""
    wanted, labels = plan.wanted, plan.model.manifest.labels
    classes = labels if wanted.class_ids is None else [labels[one] for one in wanted.class_ids]
    sought = "object of any class" if wanted.class_ids is None and len(labels) > 1 else " or ".join(classes)
    least = f"a confidence of at least {wanted.confidence:g}"
    others = "other --classes or --steps" if wanted.class_ids is not None else "other --steps"
    return f"nothing was found: {plan.model.name} saw no {sought} with {least}; try a lower --confidence, or {others}"


def print_files(console: Console, files: Iterable[Path]) -> None:
    """Where the results are."""
    console.print(_table(("", ""), ((str(path), KINDS[path.name]) for path in files), show_header=False))


def _print_tracks(console: Console, tracks: Sequence[Track], seen: Seen) -> None:
    if not tracks:
        console.print("nothing was followed for long enough to be a track")
        return
    longest = sorted(tracks, key=lambda track: -track.frames_seen)[:_MOST]
    shown = sorted(longest, key=lambda track: track.track_id)
    headers = ["id", "class", "first", "last", "frames", "best confidence"]
    read = any(track.text for track in shown)
    rows = [(*_row(track, seen), *([_one_line(track.text)] if read else [])) for track in shown]
    console.print(_table([*headers, "text"] if read else headers, rows))
    if len(tracks) > len(shown):
        console.print(f"and {len(tracks) - len(shown)} shorter tracks")


def _row(track: Track, seen: Seen) -> tuple[str, ...]:
    first, last = seen.tracks.get(track.track_id, (0.0, 0.0))
    confidence = f"{track.best_confidence:.2f}"
    return str(track.track_id), track.class_, clock(first), clock(last), str(track.frames_seen), confidence


def _one_line(text: str | None) -> str:
    return " / ".join((text or "").splitlines())


def _class_rows(seen: Seen) -> Iterable[tuple[str, ...]]:
    for name, (count, best) in sorted(seen.classes.items(), key=lambda one: -one[1][0]):
        yield name, str(count), f"{best:.2f}"


def _counts(by_class: dict[str, int]) -> str:
    return " and ".join(f"{count} {name}" for name, count in by_class.items() if count) or "0"


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, show_header: bool = True) -> Table:
    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold", show_header=show_header)
    for header in headers:
        made.add_column(header, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made
