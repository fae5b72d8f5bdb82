"""The best picture of each track: which frame it comes from, and until when it is kept in memory. Pure."""

import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from videofleet_worker.colours import Matrix
from videofleet_worker.outputs.jpeg import Planes, encode_jpeg, full_range_copy

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the frame."""
Area = tuple[int, int, int, int]
"""The same in whole pixels, all within the frame; left and top even."""

_CUT: Final = 0.5
_BORDER: Final = 0.005
_BETTER: Final = 1.05
_MARGIN: Final = 0.1
MOST: Final = 64
"""Shots of an analytics that are kept in memory."""


def quality(box: Box, confidence: float, size: tuple[int, int]) -> float:
    """How good a picture of an object is: confidence × √(pixels of its box), half of it where the frame's border cuts
    the object, which is where its box comes within half a hundredth of the frame's `size` (width, height)."""
    width, height = size
    pixels = max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
    near_x, near_y = _BORDER * width, _BORDER * height
    cut = box[0] <= near_x or box[1] <= near_y or box[2] >= width - near_x or box[3] >= height - near_y
    return confidence * math.sqrt(pixels) * (_CUT if cut else 1.0)


def area_around(box: Box, size: tuple[int, int]) -> Area:
    """What is cut out for a box: a tenth of its sides more on each side, as far as the frame goes."""
    width, height = size
    across, down = _MARGIN * (box[2] - box[0]), _MARGIN * (box[3] - box[1])
    # A chroma sample covers two pixels, so the corner is even.
    left = min(max(0, math.floor(box[0] - across)), width - 1) // 2 * 2
    top = min(max(0, math.floor(box[1] - down)), height - 1) // 2 * 2
    return (
        left,
        top,
        min(max(left + 1, math.ceil(box[2] + across)), width),
        min(max(top + 1, math.ceil(box[3] + down)), height),
    )


class Picture:
    """A picture that is compressed when it is first needed: of most that are cut out a better one comes soon."""

    def __init__(
        self, planes: Planes | None = None, *, full_range: bool = True, matrix: Matrix = "bt601", jpeg: bytes = b""
    ) -> None:
        """Of planes that nobody else writes to, coded as told; or a picture that is compressed already."""
        self._planes = planes
        self._full_range = full_range
        self._matrix: Matrix = matrix
        self._jpeg = jpeg
        self._lock = threading.Lock()

    def jpeg(self) -> bytes:
        """The picture as JPEG, made once. From any thread."""
        with self._lock:
            if self._planes is not None:
                planes = full_range_copy(self._planes, full_range=self._full_range, matrix=self._matrix)
                self._jpeg, self._planes = encode_jpeg(planes), None
            return self._jpeg

    @property
    def raw_bytes(self) -> int:
        """Memory that it takes before it is compressed; 0 afterwards."""
        planes = self._planes
        return sum(plane.nbytes for plane in planes) if planes is not None else 0


def cut_out(planes: Planes, area: Area, *, full_range: bool, matrix: Matrix = "bt601") -> Picture:
    """The part of a frame (4:2:0) at full resolution."""
    left, top, right, bottom = area
    y, u, v = planes
    chroma = slice(top // 2, (bottom + 1) // 2), slice(left // 2, (right + 1) // 2)
    part = y[top:bottom, left:right].copy(), u[chroma].copy(), v[chroma].copy()
    return Picture(part, full_range=full_range, matrix=matrix)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tracked object in one frame."""

    track_id: int
    label: str
    confidence: float
    box: Box
    quality: float


@dataclass(frozen=True, slots=True)
class Moment:
    """When a frame was: its number and seconds in the run, and Unix time."""

    frame_index: int
    pts: float
    capture_time: float


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture of a track. `area` is what of the frame of this `size` is in it; `picture` None: it is in the archive.

    frame: the whole frame that it comes from, which shots of one frame share; None where nobody gets it, or it is in
    the archive. framed: there is or was one.
    """

    track_id: int
    label: str
    confidence: float
    quality: float
    box: Box
    area: Area
    size: tuple[int, int]
    moment: Moment
    picture: Picture | None
    frame: Picture | None = None
    framed: bool = False


@dataclass(slots=True)
class _Kept:
    last_seen: float
    shot: Shot | None = None


class BestShots:
    """The best shots of the tracks that are there, at most `most` of them with their pictures."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._tracks: dict[int, _Kept] = {}

    def see(self, candidates: Sequence[Candidate], pts: float) -> list[Candidate]:
        """The tracks of the next frame; those of which it shows a clearly better picture than the one that is kept."""
        for one in candidates:
            self._tracks.setdefault(one.track_id, _Kept(pts)).last_seen = pts
        return [one for one in candidates if one.quality > _BETTER * self._quality(one.track_id)]

    def keep(self, shot: Shot) -> list[Shot]:
        """Take a shot of a track that is still there; what must be stored now, to keep no more than may be."""
        kept = self._tracks.pop(shot.track_id, None)
        if kept is None:
            return []
        # Again at the end: the picture that was renewed longest ago is the first to go.
        self._tracks[shot.track_id] = _Kept(kept.last_seen, shot)
        pictured = [one.shot for one in self._tracks.values() if one.shot is not None and one.shot.picture is not None]
        surplus = pictured[: max(0, len(pictured) - self._most)]
        for one in surplus:
            self._tracks[one.track_id].shot = replace(one, picture=None, frame=None)
        return surplus

    def ended(self, pts: float, lost_seconds: float) -> list[Shot]:
        """Let go of the tracks that have not been seen for longer; the shots of those that have one."""
        # A sum of frame times is never quite a round number.
        gone = [number for number, kept in self._tracks.items() if pts - kept.last_seen > lost_seconds + 1e-6]
        return self._forget(gone)

    def all(self) -> list[Shot]:
        """The shots that are kept."""
        return [kept.shot for kept in self._tracks.values() if kept.shot is not None]

    def of(self, track_id: int) -> Shot | None:
        """The shot of a track that is there."""
        kept = self._tracks.get(track_id)
        return kept.shot if kept is not None else None

    def end(self) -> list[Shot]:
        """Let go of everything."""
        return self._forget(list(self._tracks))

    def forget_pictures(self) -> None:
        """Go on with the tracks, without a picture of any."""
        for kept in self._tracks.values():
            kept.shot = None

    def _quality(self, track_id: int) -> float:
        shot = self._tracks[track_id].shot
        return shot.quality if shot is not None else 0.0

    def _forget(self, numbers: Iterable[int]) -> list[Shot]:
        shots = [self._tracks.pop(number).shot for number in numbers]
        return [shot for shot in shots if shot is not None]
