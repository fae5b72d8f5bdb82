"""Decode a clip and make of each frame what the model takes, on one thread, in the environment it is installed in.

`python decoding.py WHO CLIP FRAMES [TENSORS.npz]`: prints the processor seconds of a frame, from the open source to the
last frame in all processes; with a file every 20th tensor (uint8, RGB, 3x416x416) is kept in it and nothing is timed.
WHO is ours, pyav (to bgr24, then cv2.resize), cv2 (read, then resize) or discard (PyAV, decoded and thrown away).
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

SIDE = 416
EVERY = 20


def planes_of(picture: np.ndarray) -> np.ndarray:
    """The BGR picture at the model's size, plane by plane as RGB."""
    import cv2

    blue, green, red = cv2.split(cv2.resize(picture, (SIDE, SIDE)))
    return np.stack((red, green, blue))


def opened_by_pyav(clip: str) -> Iterator[Any]:
    import av

    with av.open(clip) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        yield from container.decode(stream)


def pyav(clip: str) -> Iterator[np.ndarray]:
    """PyAV as its documentation shows it."""
    for frame in opened_by_pyav(clip):
        yield planes_of(frame.to_ndarray(format="bgr24", threads=1))


def discard(clip: str) -> Iterator[np.ndarray]:
    """Nothing but the decoder."""
    nothing = np.zeros((3, SIDE, SIDE), np.uint8)
    for _ in opened_by_pyav(clip):
        yield nothing


def cv2_reader(clip: str) -> Iterator[np.ndarray]:
    """OpenCV's reader."""
    import cv2

    cv2.setNumThreads(1)
    capture = cv2.VideoCapture(clip, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    while True:
        there, picture = capture.read()
        if not there:
            return
        yield planes_of(picture)


PEERS: dict[str, Callable[[str], Iterator[np.ndarray]]] = {"pyav": pyav, "cv2": cv2_reader, "discard": discard}


def peer(who: str, clip: str, frames: int, keep: list[np.ndarray] | None) -> float:
    """Processor seconds of a frame; the first, with which everything is opened, is not counted."""
    if who == "pyav":
        import cv2

        cv2.setNumThreads(1)
    tensors = PEERS[who](clip)
    first = next(tensors)
    begun, count = time.process_time(), 0
    if keep is not None:
        keep.append(first)
    for tensor in itertools.islice(tensors, frames - 1):
        count += 1
        if keep is not None and count % EVERY == 0:
            keep.append(tensor.copy())
    return (time.process_time() - begun) / count


def ours(clip: str, frames: int, keep: list[np.ndarray] | None) -> float:
    """The worker's source: a child decodes, frames come over shared memory."""
    import asyncio
    import os
    from contextlib import aclosing
    from pathlib import Path

    from tests.bench.data.processes import cpu_seconds
    from videofleet_worker.decode.forkserver import default_forkserver
    from videofleet_worker.sources.request import SourceRequest
    from videofleet_worker.sources.stream import StreamSource

    async def run() -> float:
        request = SourceRequest(url=f"file://{clip}", model_size=(SIDE, SIDE), max_frames=frames)
        source = StreamSource(request, file_roots=[Path(clip).parent])
        begun, count = 0.0, -1
        async with aclosing(source.frames()) as delivered:
            async for frame in delivered:
                count += 1
                if keep is not None and count % EVERY == 0:
                    keep.append(frame.tensor.copy())
                frame.release()
                if count == 0:
                    begun = cpu_seconds(os.getpid())
                if count == frames - 1:
                    return (cpu_seconds(os.getpid()) - begun) / count
        raise SystemExit(f"only {count + 1} frames")

    default_forkserver().start()
    try:
        return asyncio.run(run())
    finally:
        default_forkserver().stop()


def main(who: str, clip: str, frames: str, target: str | None = None) -> None:
    """Measure or keep; print."""
    kept: list[np.ndarray] | None = None if target is None else []
    spent = ours(clip, int(frames), kept) if who == "ours" else peer(who, clip, int(frames), kept)
    if target is not None and kept is not None:
        np.savez(target, tensors=np.stack(kept))
    print(json.dumps(spent))


if __name__ == "__main__":
    main(*sys.argv[1:])
