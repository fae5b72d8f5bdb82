"""Whether the picture of a source moves at all, and whether it is black: from some five thousand of its pixels.

Frozen: a source that goes on sending the same picture. It is no matter of comparing each picture with the one before,
for an encoder leaves a quiet scene as it is until its next keyframe: with noise of one level, 61 % of the pictures of a
live one are the same to the bit (x264, CRF 26). A keyframe is encoded anew, noise and all. So keyframes are compared
with keyframes: they differ by 1.1 levels on average with noise of one level, by 0.8 with a third of that, and by 0.1 or
less where the camera's own picture is frozen and its encoder has settled (one kept to a tight buffer never does). Where
there are keyframes only (MJPEG), quiet blocks are encoded alike too, and nothing but the very same picture counts. What
lies between keyframes must not move.

Not every frame is decoded, and so not every one is seen. Only the time between two pictures that were seen counts: one
alone says nothing of the time after it. And what is a stream of keyframes only is told by the stream, not by the
pictures that were seen of it.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from videofleet_worker.decode.picture import is_full_range

Pixels = npt.NDArray[np.uint8]

_ACROSS: Final = 96
_DOWN: Final = 54
_LUMA_FIRST: Final = frozenset(
    {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "nv21", "gray"}
)
"""Formats whose first plane holds luma of 8 bits and nothing else."""
_ON_DEVICE: Final = frozenset({"cuda"})
_SAME: Final = 0.4
"""Mean difference of two keyframes, in levels, up to which they show the same."""
_MOVED_LEVELS: Final = 24
_MOVED_SHARE: Final = 0.003
"""A picture in which so many pixels are so far from those of the last keyframe shows something that moves."""
_KEYFRAMES: Final = 2
"""So many keyframes must have shown the same as the one before."""
_BLACK_SHARE: Final = 0.98
_BLACK_LIMITED: Final = 16 + 0.1 * 219
_BLACK_FULL: Final = 0.1 * 255
"""What is black: as FFmpeg's filter blackdetect has it."""


class Looks:
    """Looks at pictures of one connection, those that are decoded of it; times are monotonic seconds."""

    def __init__(self) -> None:
        self._small = VideoReformatter()
        self._key: Pixels | None = None
        self._same_keyframes = 0
        self._still_since = 0.0
        self._black_since: float | None = None
        self._seen_at = 0.0

    def see(self, frame: VideoFrame, now: float, *, keyframe: bool, after_keyframe: bool) -> None:
        """Look at a picture; one that lies on a GPU is not fetched for it.

        `after_keyframe`: the one before it in the stream, seen or not, is a keyframe.
        """
        if frame.format.name in _ON_DEVICE:
            return
        self._seen_at = now
        pixels = self._pixels(frame)
        self._see_black(pixels, _BLACK_FULL if is_full_range(frame) else _BLACK_LIMITED, now)
        if self._key is None or self._key.shape != pixels.shape:
            self._moves(now)
        elif keyframe:
            if _difference(pixels, self._key).mean() > (0 if after_keyframe else _SAME):
                self._moves(now)
            else:
                self._same_keyframes += 1
        elif _share(_difference(pixels, self._key) > _MOVED_LEVELS) > _MOVED_SHARE:
            self._moves(now)
        if keyframe:
            self._key = pixels

    @property
    def still_for(self) -> float:
        """Seconds in which no picture was seen to differ; 0 while that is not sure."""
        return max(0.0, self._seen_at - self._still_since) if self._same_keyframes >= _KEYFRAMES else 0.0

    @property
    def black_for(self) -> float:
        """Seconds in which every picture that was seen is black."""
        return 0.0 if self._black_since is None else max(0.0, self._seen_at - self._black_since)

    def _moves(self, now: float) -> None:
        self._still_since, self._same_keyframes = now, 0

    def _see_black(self, pixels: Pixels, threshold: float, now: float) -> None:
        if _share(pixels <= threshold) < _BLACK_SHARE:
            self._black_since = None
        elif self._black_since is None:
            self._black_since = now

    def _pixels(self, frame: VideoFrame) -> Pixels:
        if frame.format.name not in _LUMA_FIRST:
            frame = self._small.reformat(frame, _ACROSS, _DOWN, "gray", threads=1)
        plane = frame.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        down, across = max(1, frame.height // _DOWN), max(1, frame.width // _ACROSS)
        return rows[down // 2 : frame.height : down, across // 2 : frame.width : across].copy()


def _share(mask: npt.NDArray[np.bool_]) -> float:
    """How many are true: counted, which takes a third of the time of a mean."""
    return np.count_nonzero(mask) / mask.size


def _difference(one: Pixels, other: Pixels) -> Pixels:
    return np.maximum(one, other) - np.minimum(one, other)
