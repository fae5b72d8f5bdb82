"""What somebody gets who watches a source as it is."""

import asyncio
import io
from collections.abc import Iterable
from contextlib import aclosing
from typing import Any

import av
import numpy as np

from tests.unit.worker.decode.clips import index_of
from tests.unit.worker.decode.reading import DEADLINE
from videofleet_worker.sources.direct import DirectViewer, Head, Piece

Parts = list[Head | Piece]


async def seen(viewer: DirectViewer) -> Parts:
    """Everything to the farewell."""
    async with asyncio.timeout(DEADLINE), aclosing(viewer.parts()) as parts:
        return [part async for part in parts]


def pictures(data: bytes) -> list[np.ndarray[Any, Any]]:
    """Brightness, of every picture that a player shows."""
    with av.open(io.BytesIO(data)) as player:
        return [np.array(frame.to_ndarray(format="yuv420p")[: frame.height]) for frame in player.decode(video=0)]


def numbers(data: bytes) -> list[int]:
    """What the pictures of a clip of `clips` say."""
    return [index_of(float(picture.mean())) for picture in pictures(data)]


def joined(parts: Iterable[Head | Piece]) -> bytes:
    """As a player reads it."""
    return b"".join(part.data for part in parts)
