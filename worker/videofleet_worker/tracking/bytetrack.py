"""ByteTrack: stable numbers for the objects of one stream.

"ByteTrack: Multi-Object Tracking by Associating Every Detection Box", Zhang et al., ECCV 2022: confident detections are
matched with all tracks first; those with low scores, often half-hidden objects, may then keep alive a track that is
left over, but never begin one.
"""

from collections.abc import Sequence

from videofleet_worker.tracking.assignment import Pair, assign
from videofleet_worker.tracking.follower import Follower, free
from videofleet_worker.tracking.frame import Frame
from videofleet_worker.tracking.tracks import NEW, SEEN


class ByteTracker(Follower):
    """Follows objects by where they are expected, in three rounds."""

    def _associate(self, frame: Frame, pairs: Sequence[Pair]) -> dict[int, int]:
        settings = self._settings
        sure, weak, once = self._rounds(frame, self._by_looks(frame, pairs))
        found = assign(sure, settings.high_overlap)
        if weak := free(weak, found):
            found |= assign(weak, settings.low_overlap)
        if once := free(once, found):
            found |= assign(once, settings.second_overlap)
        return found

    def _rounds(self, frame: Frame, pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair], list[Pair]]:
        """The pairs of each round: no track and no detection is in both of the last two."""
        settings, states, scores = self._settings, self._tracks.states, frame.scores
        high, low = settings.high_score, settings.low_score
        sure: list[Pair] = []
        weak: list[Pair] = []
        once: list[Pair] = []
        for pair in pairs:
            row, column, overlap = pair
            score, state = scores[column], states[row]
            if score >= high:
                # 1. Confident detections with all tracks that have an id, the lost ones too.
                if state != NEW:
                    if overlap >= settings.high_overlap:
                        sure.append(pair)
                # 3. What is left of them with tracks that were seen only once.
                elif overlap >= settings.second_overlap:
                    once.append(pair)
            # 2. Low detections with what was seen in the last frame and is missed now.
            elif score >= low and state == SEEN and overlap >= settings.low_overlap:
                weak.append(pair)
        return sure, weak, once
