"""Rows of the trackers: how fast they are, and how well they know people again."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from tests.bench.control.rows import Row
from tests.bench.data.scenes import crowd, degraded, ground_truth
from tests.bench.data.setup import Setup

OURS = ("bytetrack", "ocsort")
PEERS = {
    "trackers": "trackers ByteTrack, same thresholds",
    "trackers-defaults": "trackers ByteTrack, its own thresholds",
    "norfair": "norfair",
}
# Why a goal is not met, by the number of objects and the peer.
_CALLS = (
    "an update makes some fifty calls of NumPy, which take about a microsecond each however few objects there are, "
    "and are most of it with 10 of them"
)
SPEED_REMARKS = {
    (10, "trackers"): _CALLS,
    (50, "trackers"): f"{_CALLS}; with 50 the other half is plain Python over objects and the pairs that overlap",
}
SPEED_GOALS = {10: 4, 50: 10, 200: 5}
SEQUENCES = ("TUD-Campus", "TUD-Stadtmitte")
FRAMES_A_SECOND = 25.0
MEASURES = ("HOTA", "IDF1", "MOTA")
# 97.5 % of Student's distribution lies below this, for 23 degrees of freedom and nearly so for more.
STUDENT = 2.07


def follow(setup: Setup, who: str, clips: Sequence[Path]) -> list[float]:
    """The processor seconds of an update on each clip; the ids lie beside it."""
    pairs = [path for clip in clips for path in (clip, ids_of(clip, who))]
    return [float(each) for each in json.loads(setup.run("follow.py", who, *pairs, peer=_peer(who)))]


def ids_of(clip: Path, who: str) -> Path:
    """Where a tracker's ids of a clip are."""
    return clip.with_name(f"{clip.stem}-{who}.npy")


def speed_rows(setup: Setup) -> list[Row]:
    """Processor time of an update, all at a thread, in turn."""
    clips = [setup.folder / f"crowd-{count}.npz" for count in SPEED_GOALS]
    for count, clip in zip(SPEED_GOALS, clips, strict=True):
        crowd(count).save(clip)
    whos = ("bytetrack", "trackers", "norfair", "ocsort")
    spent: dict[str, list[list[float]]] = {who: [] for who in whos}
    for _ in range(setup.rounds):
        for who in whos:
            spent[who].append([1e3 * seconds for seconds in follow(setup, who, clips)])
    rows = []
    for place, (count, times) in enumerate(SPEED_GOALS.items()):
        of = {who: [one[place] for one in rounds] for who, rounds in spent.items()}
        for who in ("trackers", "norfair"):
            measure = f"tracker update, {count} objects"
            remark = SPEED_REMARKS.get((count, who), "")
            rows.append(Row(measure, PEERS[who], of["bytetrack"], of[who], 1 / times, "ms CPU", remark=remark))
        measure = f"tracker update, OC-SORT, {count} objects"
        rows.append(Row(measure, "our ByteTrack", of["ocsort"], of["bytetrack"], None, "ms CPU"))
    return rows


def quality_rows(setup: Setup) -> list[Row]:
    """HOTA, IDF1 and MOTA by TrackEval, the same detections for all; a figure is one degradation's mean of clips."""
    whos = (*OURS, "trackers", "trackers-defaults")
    rated: dict[str, list[list[dict[str, float]]]] = {who: [] for who in whos}
    for name in SEQUENCES:
        truth = ground_truth(_shipped(setup, name), FRAMES_A_SECOND)
        truth_file = setup.folder / f"{name}.npz"
        truth.save(truth_file)
        clips = [setup.folder / f"{name}-{seed}.npz" for seed in range(setup.seeds)]
        for seed, clip in enumerate(clips):
            degraded(truth, seed).save(clip)
        for who in whos:
            follow(setup, who, clips)
            pairs = [path for clip in clips for path in (clip, ids_of(clip, who))]
            rated[who].append(json.loads(setup.run("rate.py", truth_file, *pairs, peer="trackeval")))
    return [
        _quality_row(measure, who, peer, rated)
        for who, peers in (("bytetrack", ("trackers", "trackers-defaults", "ocsort")), ("ocsort", ("trackers",)))
        for peer in peers
        for measure in MEASURES
    ]


def _quality_row(measure: str, who: str, peer: str, rated: dict[str, list[list[dict[str, float]]]]) -> Row:
    ours, theirs = (_means(rated[one], measure) for one in (who, peer))
    apart = [mine - its for mine, its in zip(ours, theirs, strict=True)]
    half = STUDENT * statistics.stdev(apart) / math.sqrt(len(apart))
    mean = statistics.fmean(apart)
    remark = (
        f"paired difference {mean:+.4f}, 95 % between {mean - half:+.4f} and {mean + half:+.4f}, over {len(apart)} "
        f"degradations of {' and '.join(SEQUENCES)}"
    )
    own = "ByteTrack" if who == "bytetrack" else "OC-SORT"
    against = PEERS.get(peer, "our OC-SORT")
    reach = None if peer in OURS else 1.0
    return Row(f"tracker quality, {own}, {measure}", against, ours, theirs, reach, "", True, remark)


def _means(clips: list[list[dict[str, float]]], measure: str) -> list[float]:
    return [statistics.fmean(one[measure] for one in seeds) for seeds in zip(*clips, strict=True)]


def _shipped(setup: Setup, name: str) -> Path:
    """The ground truth that motmetrics ships."""
    found = list(setup.repository.glob(f".venv-bench/lib/python*/site-packages/motmetrics/data/{name}/gt.txt"))
    if not found:
        raise FileNotFoundError(f"no ground truth {name} in .venv-bench: `make bench-data` makes that environment")
    return found[0]


def _peer(who: str) -> str | None:
    return None if who in OURS else who
