"""The pictures of `test://`: coloured boxes that move over a grey ground, at places that anybody can compute. Pure.

test://pattern?width=1280&height=720&fps=25&frames=300&objects=5&seed=1&fail=network@100
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import numpy.typing as npt

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.ring import MAX_SIDE

Pixels = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float64]

_PATTERN: Final = "pattern"
_MOST_OBJECTS: Final = 64
_MOST_FPS: Final = 240.0
_GREY: Final = 96
_BLACK: Final = 16
_NEUTRAL: Final = 128
# Of the picture's width and height.
_SMALLEST, _LARGEST = 0.05, 0.25
# Widths of the picture a second.
_SLOWEST, _FASTEST = 0.02, 0.25


class Fault(StrEnum):
    """What goes wrong on demand, besides the error codes."""

    FREEZE = "freeze"
    BLACK = "black"
    SLOW = "slow"
    CRASH = "crash"
    HANG = "hang"
    LEAK = "leak"
    FORK = "fork"
    THREADS = "threads"


_ERRORS: Final = {code.value.lower(): code for code in ErrorCode}


@dataclass(frozen=True)
class Synthetic:
    """What a `test://` address asks for.

    frames: None for a stream without an end. fail_at: the frame from which on, or instead of which, it fails.
    """

    width: int = 1280
    height: int = 720
    fps: float = 25.0
    frames: int | None = None
    objects: int = 5
    seed: int = 1
    fault: Fault | ErrorCode | None = None
    fail_at: int = 0

    @cached_property
    def _motion(self) -> tuple[Boxes, Boxes, Boxes]:
        """Sizes, places at frame 0 and velocities a second, each [n, 2] in shares of the picture."""
        rng = np.random.default_rng(self.seed)
        shape = (self.objects, 2)
        sizes = rng.uniform(_SMALLEST, _LARGEST, shape)
        places = rng.uniform(0, 1, shape) * (1 - sizes)
        velocities = rng.uniform(_SLOWEST, _FASTEST, shape) * rng.choice((-1.0, 1.0), shape)
        return sizes, places, velocities

    def boxes(self, index: int) -> Boxes:
        """Where the objects are in frame `index`: [n, 4] of x1, y1, x2, y2 from 0 to 1, object by object.

        They move evenly and turn round at the edges, so that all of a box is always in the picture.
        """
        sizes, places, velocities = self._motion
        room = 1 - sizes
        travelled = np.mod(places + velocities * (self._moment(index) / self.fps), 2 * room)
        corner = np.where(travelled > room, 2 * room - travelled, travelled)
        return np.concatenate([corner, corner + sizes], axis=1)

    def picture(self, index: int) -> Pixels:
        """Frame `index` as yuv420p: [height * 3 / 2, width], the planes below each other."""
        planes = np.full((self.height * 3 // 2, self.width), _NEUTRAL, np.uint8)
        luma = planes[: self.height]
        if self.fault is Fault.BLACK and index >= self.fail_at:
            luma[:] = _BLACK
            return planes
        luma[:] = _GREY
        half = (self.height // 2, self.width // 2)
        chroma = planes[self.height :].reshape(2, *half)
        for number, box in enumerate(self.boxes(index)):
            _paint(luma, box, 160 + number * 75 // self.objects)
            angle = 2 * math.pi * number / self.objects
            for plane, share in zip(chroma, (math.cos(angle), math.sin(angle)), strict=True):
                _paint(plane, box, round(_NEUTRAL + 90 * share))
        return planes

    def _moment(self, index: int) -> int:
        return min(index, self.fail_at) if self.fault is Fault.FREEZE else index


def parse(url: str) -> Synthetic:
    """What an address asks for. Raises ValueError that says what is wrong in it."""
    parts = urlsplit(url)
    if parts.hostname != _PATTERN:
        raise ValueError(f"test://{parts.hostname or ''} is not known: there is test://{_PATTERN}")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    fault, fail_at = _fault(given.pop("fail", None))
    unknown = sorted(given.keys() - {"width", "height", "fps", "frames", "objects", "seed"})
    if unknown:
        raise ValueError(f"{unknown[0]} is not known: width, height, fps, frames, objects, seed and fail are")
    frames = given.get("frames")
    return Synthetic(
        width=_even(given, "width", 1280),
        height=_even(given, "height", 720),
        fps=_number("fps", given.get("fps", "25"), 0.1, _MOST_FPS),
        frames=None if frames is None else _whole("frames", frames, 1, 10**9),
        objects=_whole("objects", given.get("objects", "5"), 0, _MOST_OBJECTS),
        seed=_whole("seed", given.get("seed", "1"), 0, 2**32 - 1),
        fault=fault,
        fail_at=fail_at,
    )


def _fault(text: str | None) -> tuple[Fault | ErrorCode | None, int]:
    """From network@100; without a frame it fails from the first one on."""
    if text is None:
        return None, 0
    name, _, at = text.partition("@")
    faults: dict[str, Fault | ErrorCode] = {**{one.value: one for one in Fault}, **_ERRORS}
    if name not in faults:
        raise ValueError(f"fail={name[:20]} is not known: {', '.join(faults)}, each with @FRAME, are")
    return faults[name], _whole("the frame in fail", at or "0", 0, 10**9)


def _even(given: dict[str, str], name: str, default: int) -> int:
    value = _whole(name, given.get(name, str(default)), 16, MAX_SIDE)
    if value % 2:
        raise ValueError(f"{name} must be even, got {value}")
    return value


def _whole(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal()) or not least <= int(text[:20]) <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}, got {text[:20]!r}")
    return int(text)


def _number(name: str, text: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}, got {text[:20]!r}")
    return value


def _paint(plane: Pixels, box: npt.NDArray[np.float64], value: int) -> None:
    height, width = plane.shape
    left, top, right, bottom = (round(share) for share in box * (width, height, width, height))
    plane[top:bottom, left:right] = value
