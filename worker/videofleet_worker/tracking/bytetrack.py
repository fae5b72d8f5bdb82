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
        settings, states, scores = self._settings, self._tracks.states, frame.scores
        high, low = settings.high_score, settings.low_score
        alike = self._by_looks(frame, pairs)
        # 1. Confident detections with all tracks that have an id, the lost ones too.
        least = settings.high_overlap
        found = assign([p for p in alike if p[2] >= least and states[p[0]] != NEW and scores[p[1]] >= high], least)
        left = free(alike, found)
        # 2. Low detections with what was seen in the last frame and is missed now.
        least = settings.low_overlap
        weak = [p for p in left if p[2] >= least and states[p[0]] == SEEN and low <= scores[p[1]] < high]
        if weak:
            found |= assign(weak, least)
        # 3. What is left of the confident ones with tracks that were seen only once.
        least = settings.second_overlap
        once = [p for p in left if p[2] >= least and states[p[0]] == NEW and scores[p[1]] >= high]
        if once:
            found |= assign(once, least)
        return found
