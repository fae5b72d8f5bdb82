"""Show what a job found."""

import json
from pathlib import Path

from examples.demo.console import say, table
from examples.demo.tools import Json


def tracks(results: Path, most: int = 20) -> list[Json]:
    """Print the tracks of a run as a table, longest first; returns all of them."""
    document = json.loads(results.read_text())
    found: list[Json] = sorted(document["tracks"], key=lambda track: -track["frames_seen"])
    rows = [
        (
            track["track_id"],
            track["class"],
            track["first_frame"],
            track["last_frame"],
            track["frames_seen"],
            f"{track['best_confidence']:.2f}",
        )
        for track in found[:most]
    ]
    table(("id", "class", "first frame", "last frame", "frames seen", "best confidence"), rows)
    if len(found) > most:
        say(f"    ... and {len(found) - most} shorter tracks")
    usage = document["usage"]
    seconds = usage["processing_time_ms"] / 1000
    say(
        f"    {usage['processed_frames']} frames in {seconds:.1f} s: "
        f"{usage['processed_frames'] / max(seconds, 0.001):.1f} frames a second"
    )
    return found
