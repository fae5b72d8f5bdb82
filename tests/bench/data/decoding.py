"""Rows of decoding: from a file to the picture that the model takes, in the process that runs the model."""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench.control.rows import Row
from tests.bench.data.agreement import agreement, must_agree
from tests.bench.data.clips import FULL_HD, enlarged, megabits
from tests.bench.data.setup import Setup
from tests.support.cameras import CLIP

PEERS = {
    "pyav": ("PyAV to bgr24, cv2.resize", 0.70),
    "cv2": ("cv2 read, resize", 0.95),
    "discard": ("PyAV, decoded and thrown away", 1.3),
}
FULL_HD_FRAMES = 150
# Where the goals are missed: what a frame costs besides decoding, and what of it the peers do not do.
HELD_BACK = (
    "besides decoding and scaling a frame is copied at full resolution, which the peers throw away, and goes from one "
    "process to another: messages in Python, the same for any size"
)


def decode_rows(setup: Setup) -> list[Row]:
    """Processor time of a frame, a thread for decoding and one for scaling, in turn."""
    large = enlarged(setup.folder, FULL_HD, FULL_HD_FRAMES)
    return [*_rows(setup, CLIP, setup.frames, "768x576"), *_rows(setup, large, FULL_HD_FRAMES, "1920x1080")]


def _rows(setup: Setup, clip: Path, frames: int, size: str) -> list[Row]:
    whos = ("ours", *PEERS)
    kept = {who: setup.folder / f"{clip.stem}-{who}.npz" for who in whos if who != "discard"}
    for who, path in kept.items():
        _run(setup, who, clip, frames, path)
    alike = {who: must_agree(agreement(kept["ours"], kept[who]), f"{size}, {who}") for who in kept if who != "ours"}
    spent: dict[str, list[float]] = {who: [] for who in whos}
    for _ in range(setup.rounds):
        for who in whos:
            spent[who].append(1e3 * _run(setup, who, clip, frames))
    about = f"H.264 of {megabits(clip):.1f} Mbit/s, {frames} frames"
    return [
        Row(
            f"decode, scale, hand over, {size}",
            name,
            spent["ours"],
            spent[who],
            reach,
            "ms CPU",
            remark="; ".join(filter(None, [about, alike.get(who), HELD_BACK])),
        )
        for who, (name, reach) in PEERS.items()
    ]


def _run(setup: Setup, who: str, clip: Path, frames: int, *target: Path) -> float:
    peer = None if who == "ours" else who
    return float(json.loads(setup.run("decoding.py", who, clip, frames, *target, peer=peer)))
