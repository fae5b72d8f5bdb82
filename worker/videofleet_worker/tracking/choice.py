"""The trackers by the names that a track step knows them by."""

from collections.abc import Callable
from typing import Final, Literal

from videofleet_worker.tracking.bytetrack import ByteTracker
from videofleet_worker.tracking.follower import Follower
from videofleet_worker.tracking.ocsort import OcSortTracker
from videofleet_worker.tracking.settings import TrackerSettings

TrackerName = Literal["bytetrack", "ocsort"]

USUAL_TRACKER: Final[TrackerName] = "bytetrack"

_TRACKERS: Final[dict[TrackerName, Callable[..., Follower]]] = {"bytetrack": ByteTracker, "ocsort": OcSortTracker}


def tracker_of(name: TrackerName, settings: TrackerSettings, *, next_id: int = 1) -> Follower:
    """A new tracker for one stream, whose ids begin at `next_id`."""
    return _TRACKERS[name](settings, next_id=next_id)
