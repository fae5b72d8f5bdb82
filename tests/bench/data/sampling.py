"""Rows of sampling: a frame a second out of a file, of which only what that needs is decoded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.control.rows import Row
from tests.bench.data.agreement import DisagreementError, agreement, must_agree
from tests.bench.data.clips import FULL_HD, enlarged, megabits
from tests.bench.data.setup import Setup

RATE = 25
FRAMES = 31 * RATE
PEERS = {
    "all": "PyAV, everything decoded, wanted frames to bgr24, cv2.resize",
    "keyframes": "PyAV, keyframes alone decoded, to bgr24, cv2.resize",
    "grab": "cv2 grab, retrieve and resize of wanted frames",
}


@dataclass(frozen=True)
class Case:
    """A clip by its seconds between keyframes and its B-frames, what is to be reached against each peer, and what to
    know where it is not."""

    name: str
    keyframe_seconds: int
    b_frames: int
    reach: dict[str, float | None]
    held_back: str = ""


CASES = (
    Case(
        "a keyframe a second",
        1,
        0,
        {"all": 0.10, "grab": 0.15, "keyframes": None},
        "the frames that are wanted are the keyframes, and one of these costs as much to decode as five others of this "
        "clip, whose camera stands still",
    ),
    Case(
        "a keyframe every 8 s, no B-frames",
        8,
        0,
        {"grab": 0.9},
        "each frame refers to the one before it, so that 22 of 25 must be decoded; the rest is left out. What is "
        "wanted is copied at full resolution besides, and goes from one process to another",
    ),
    Case("a keyframe every 8 s, B-frames", 8, 3, {"grab": 0.9}),
)


def sampling_rows(setup: Setup) -> list[Row]:
    """Processor time of all processes a frame that is delivered, opening included, in turn."""
    return [row for case in CASES for row in _rows(setup, case)]


def _rows(setup: Setup, case: Case) -> list[Row]:
    clip = enlarged(
        setup.folder, FULL_HD, FRAMES, RATE, keyframe_every=case.keyframe_seconds * RATE, b_frames=case.b_frames
    )
    whos = ("ours", *case.reach)
    kept = {who: setup.folder / f"{clip.stem}-{who}.npz" for who in whos}
    found = {who: _run(setup, who, clip, path)[1] for who, path in kept.items()}
    alike = {who: _same(case, who, found, kept) for who in case.reach}
    spent: dict[str, list[float]] = {who: [] for who in whos}
    for _ in range(setup.rounds):
        for who in whos:
            cpu, frames = _run(setup, who, clip)
            spent[who].append(1e3 * cpu / len(frames))
    about = f"1920x1080, {RATE} frames a second, H.264 of {megabits(clip):.1f} Mbit/s"
    return [
        Row(
            f"1 frame a second of a file, {case.name}",
            PEERS[who],
            spent["ours"],
            spent[who],
            reach,
            "ms CPU a frame",
            remark="; ".join(filter(None, [about, alike[who], case.held_back])),
        )
        for who, reach in case.reach.items()
    ]


def _same(case: Case, who: str, found: dict[str, list[int]], kept: dict[str, Path]) -> str:
    """That both have taken the same frames, in words. Raises DisagreementError."""
    share = must_agree(agreement(kept["ours"], kept[who]), f"{case.name}, {who}")
    return f"{same_frames(found['ours'], found[who])}; {share}"


def same_frames(ours: Sequence[int], theirs: Sequence[int]) -> str:
    """How many frames both have taken, in words. Raises DisagreementError where they are not the same."""
    if list(ours) != list(theirs):
        raise DisagreementError(f"frames {sorted(set(ours) ^ set(theirs))} were taken by one side alone")
    return f"the same {len(ours)} frames"


def _run(setup: Setup, who: str, clip: Path, *target: Path) -> tuple[float, list[int]]:
    found = json.loads(setup.run("sampling.py", who, clip, RATE, *target, peer=None if who == "ours" else who))
    return float(found["cpu"]), found["frames"]
