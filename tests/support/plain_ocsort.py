"""OC-SORT, as its paper and its authors' code tell it: one track, one detection, one number after the other.

"Observation-Centric SORT: Rethinking SORT for Robust Multi-Object Tracking", Cao et al., CVPR 2023. It has ByteTrack's
filter and its rules of beginning and ending, as ours has. Where it goes its own way, as ours does:

- the straight way over a gap is learnt once; the code corrects twice with the last observation;
- who is looked for where he was last seen must overlap as much as one seen badly, 0.5 and not 0.3;
- a way is taken over the last observations, also where there is a gap between them.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field

from tests.support.plain_tracking import Box, EightStates, Followed, PlainByteTrack, Seen, best_choice, overlap

MOMENTUM = 0.2
SPAN = 3
MOST_STEPS = 10


@dataclass
class Remembered(Followed):
    """A track that remembers what was seen of it, first to last, and its filter after the last."""

    seen: list[Seen] = field(default_factory=list)
    anchor: EightStates | None = None


@dataclass
class PlainOcSort(PlainByteTrack):
    """The tracker without any shortcut; for detections without ties, at any rate above 7 frames a second."""

    def _begun(self, seen: Seen, pts: float) -> Followed:
        track = Remembered(EightStates(seen.measured()), seen.kind, pts, pts, seen=[seen])
        track.anchor = copy.deepcopy(track.filter)
        return track

    def _learn(self, track: Followed, seen: Seen) -> None:
        assert isinstance(track, Remembered)
        if track.state == "lost":
            self._learn_the_way(track, seen)
        else:
            track.filter.correct(seen.measured())
        track.seen.append(seen)
        track.anchor = copy.deepcopy(track.filter)

    def _learn_the_way(self, track: Remembered, seen: Seen) -> None:
        """ORU: from the last observation straight to this one, as if every step of it had been seen."""
        assert track.anchor is not None
        assert self.last is not None
        track.filter = copy.deepcopy(track.anchor)
        passed = (self.last - track.seen_at) * 30
        steps = min(max(round(passed), 1), MOST_STEPS)
        start, end = track.seen[-1].measured(), seen.measured()
        for step in range(1, steps + 1):
            if passed > 0:
                track.filter.predict(passed / steps)
            track.filter.correct(start + (end - start) * step / steps)

    def _associate(self, detections: list[Seen], expected: list[Box]) -> dict[int, int]:
        settings, found = self.settings, dict[int, int]()
        high = [place for place, one in enumerate(detections) if one.score >= settings.high_score]
        low = [place for place, one in enumerate(detections) if settings.low_score <= one.score < settings.high_score]
        gains = {}
        for row, column in self._alike(range(len(self.tracks)), high, detections):
            track, shared = self.tracks[row], overlap(expected[row], detections[column].box)
            assert isinstance(track, Remembered)
            if shared >= (settings.second_overlap if track.state == "new" else settings.high_overlap):
                gains[row, column] = shared + momentum(track, detections[column]) - settings.high_overlap
        found |= best_choice(list(range(len(self.tracks))), gains)[1]
        seen = [row for row, track in enumerate(self.tracks) if track.state == "seen" and row not in found]
        found |= self._by_overlap(seen, low, expected, detections)
        left = [row for row in range(len(self.tracks)) if row not in found]
        last = [track.seen[-1].box for track in self.tracks if isinstance(track, Remembered)]
        return found | self._by_overlap(left, [one for one in high if one not in found.values()], last, detections)

    def _alike(self, rows: range | list[int], columns: list[int], detections: list[Seen]) -> list[tuple[int, int]]:
        kinds = [track.kind for track in self.tracks]
        return [(row, column) for row in rows for column in columns if kinds[row] == detections[column].kind]

    def _by_overlap(
        self, rows: list[int], columns: list[int], boxes: list[Box], detections: list[Seen]
    ) -> dict[int, int]:
        least = self.settings.low_overlap
        gains = {
            (row, column): overlap(boxes[row], detections[column].box) - least
            for row, column in self._alike(rows, columns, detections)
        }
        return best_choice(rows, {pair: gain for pair, gain in gains.items() if gain >= 0})[1]


def momentum(track: Remembered, seen: Seen) -> float:
    """OCM: how much the way to a detection is the way that was gone; half of it where none is known."""
    gone = angle(track.seen[-SPAN - 1 :][0], track.seen[-1])
    going = angle(track.seen[-SPAN:][0], seen)
    if gone is None or going is None:
        return MOMENTUM * 0.5 * seen.score
    apart = abs(gone - going) % (2 * math.pi)
    return MOMENTUM * (1 - min(apart, 2 * math.pi - apart) / math.pi) * seen.score


def angle(start: Seen, end: Seen) -> float | None:
    """The direction from one centre to the other; None where they are the same."""
    x, y = (end.measured() - start.measured())[:2].tolist()
    return math.atan2(y, x) if (x, y) != (0, 0) else None
