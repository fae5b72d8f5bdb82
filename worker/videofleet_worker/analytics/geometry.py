"""Points, polygons and lines, all in one unit across and down (pixels), many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

Corner = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Polygons:
    """Edges of several polygons: `starts` and `ends` [polygons, edges, 2]. Short ones are filled up with edges of
    no length, which change nothing."""

    starts: FloatArray
    ends: FloatArray

    @classmethod
    def of(cls, corners: Sequence[Sequence[Corner]], scale: tuple[float, float]) -> "Polygons":
        """Polygons with these corners, x and y of each multiplied by `scale`."""
        most = max((len(one) for one in corners), default=1)
        starts = np.zeros((len(corners), most, 2))
        ends = np.zeros((len(corners), most, 2))
        for index, one in enumerate(corners):
            ring = np.asarray(one, np.float64) * scale
            starts[index, : len(ring)] = ring
            ends[index, : len(ring)] = np.roll(ring, -1, axis=0)
            starts[index, len(ring) :] = ends[index, len(ring) :] = ring[0]
        return cls(starts, ends)

    def contain(self, points: FloatArray) -> BoolArray:
        """Whether each of `points` [n, 2] is in each polygon, as [n, polygons].

        By the winding number: what an outline goes round is inside, also where it crosses itself.
        """
        x, y = points[:, 0, None, None], points[:, 1, None, None]
        above, below = self.starts[..., 1] <= y, self.ends[..., 1] <= y
        # On which side of the edge the point is.
        edge = self.ends - self.starts
        side = edge[..., 0] * (y - self.starts[..., 1]) - edge[..., 1] * (x - self.starts[..., 0])
        turns = (above & ~below & (side > 0)).sum(axis=-1) - (~above & below & (side < 0)).sum(axis=-1)
        inside: BoolArray = turns != 0
        return inside

    def border_distances(self, points: FloatArray) -> FloatArray:
        """How far each of `points` [n, 2] is from the outline of each polygon, as [n, polygons]."""
        edge = self.ends - self.starts
        length = np.maximum((edge**2).sum(axis=-1), np.finfo(np.float64).tiny)
        from_start = points[:, None, None, :] - self.starts
        share = np.clip((from_start * edge).sum(axis=-1) / length, 0, 1)
        apart = from_start - share[..., None] * edge
        distances: FloatArray = np.sqrt((apart**2).sum(axis=-1)).min(axis=-1, initial=np.inf)
        return distances

    @property
    def depths(self) -> FloatArray:
        """About how deep each polygon is, as [polygons]: area by half the outline; of a circle it is the radius, of a
        narrow strip its width."""
        cross = self.starts[..., 0] * self.ends[..., 1] - self.starts[..., 1] * self.ends[..., 0]
        outline = np.sqrt(((self.ends - self.starts) ** 2).sum(axis=-1)).sum(axis=-1)
        depths: FloatArray = np.abs(cross.sum(axis=-1)) / np.maximum(outline, np.finfo(np.float64).tiny)
        return depths


@dataclass(frozen=True, eq=False)
class Segments:
    """Several lines from `starts` to `ends`, each [lines, 2]."""

    starts: FloatArray
    ends: FloatArray

    @classmethod
    def of(cls, ends: Sequence[tuple[Corner, Corner]], scale: tuple[float, float]) -> "Segments":
        """Lines with these ends, x and y of each multiplied by `scale`."""
        both = np.asarray(ends, np.float64).reshape(-1, 2, 2) * scale
        return cls(both[:, 0], both[:, 1])

    def offsets(self, points: FloatArray) -> FloatArray:
        """How far each of `points` [n, 2] is beside each line, drawn on without end, as [n, lines]: above 0 on the
        right of somebody who looks along it (y points down), below 0 on the left."""
        along = self.ends - self.starts
        apart = points[:, None, :] - self.starts
        length = np.sqrt((along**2).sum(axis=-1))
        offsets: FloatArray = (along[:, 0] * apart[..., 1] - along[:, 1] * apart[..., 0]) / length
        return offsets

    def crossed_between_ends(self, before: FloatArray, after: FloatArray) -> BoolArray:
        """Whether the straight ways from `before` to `after` [n, 2] meet each line, drawn on without end, between its
        ends, as [n, lines]. Of a way that does not meet it at all the answer has no meaning."""
        first, second = self.offsets(before), self.offsets(after)
        change = first - second
        share = first / np.where(change == 0, 1.0, change)
        meeting = before[:, None, :] + share[..., None] * (after - before)[:, None, :]
        along = self.ends - self.starts
        place = ((meeting - self.starts) * along).sum(axis=-1) / (along**2).sum(axis=-1)
        between: BoolArray = (place >= 0) & (place <= 1)
        return between
