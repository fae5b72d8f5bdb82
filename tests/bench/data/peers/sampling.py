"""Take a frame a second out of a clip, as what the model takes, on one thread, in the environment it is installed in.

`python sampling.py WHO CLIP RATE [TENSORS.npz]`: RATE is the clip's frames a second. Prints the processor seconds of
all processes from before the clip is opened to after its end, and the numbers of the frames taken; with a file the
tensors (uint8, RGB, 3x416x416) are kept in it. WHO is ours (in a worker that has decoded before), all (PyAV decodes
everything and converts what is wanted), keyframes (PyAV decodes nothing else), or grab (OpenCV grabs everything and
retrieves what is wanted).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from decoding import SIDE, opened_by_pyav, planes_of

Taken = Iterator[tuple[int, np.ndarray]]


def decoded(clip: str, every: int) -> Taken:
    """PyAV."""
    for index, frame in enumerate(opened_by_pyav(clip)):
        if index % every == 0:
            yield index, planes_of(frame.to_ndarray(format="bgr24", threads=1))


def keyframes(clip: str, every: int) -> Taken:
    """PyAV, of a clip in which keyframes are all that is wanted."""
    import av

    with av.open(clip) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count, stream.codec_context.skip_frame = 1, "NONKEY"
        for number, frame in enumerate(container.decode(stream)):
            yield number * every, planes_of(frame.to_ndarray(format="bgr24", threads=1))


def grabbed(clip: str, every: int) -> Taken:
    """OpenCV."""
    import cv2

    capture = cv2.VideoCapture(clip, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    index = 0
    while capture.grab():
        if index % every == 0:
            yield index, planes_of(capture.retrieve()[1])
        index += 1


PEERS: dict[str, Callable[[str, int], Taken]] = {"all": decoded, "keyframes": keyframes, "grab": grabbed}


def peer(who: str, clip: str, rate: int) -> tuple[float, list[tuple[int, np.ndarray]]]:
    """Processor seconds, and what was taken."""
    import cv2

    cv2.setNumThreads(1)
    begun = time.process_time()
    found = list(PEERS[who](clip, rate))
    return time.process_time() - begun, found


def ours(clip: str) -> tuple[float, list[tuple[int, np.ndarray]]]:
    """The worker's source: a child decodes, frames come over shared memory."""
    import asyncio
    import os
    from contextlib import aclosing
    from pathlib import Path

    from tests.bench.data.processes import cpu_seconds
    from videofleet_worker.decode.forkserver import default_forkserver
    from videofleet_worker.decode.sampling import Sampling
    from videofleet_worker.sources.request import SourceRequest
    from videofleet_worker.sources.stream import StreamSource

    async def run(most: int | None = None) -> list[tuple[int, np.ndarray]]:
        sampling = Sampling("fps", 1)
        request = SourceRequest(url=f"file://{clip}", model_size=(SIDE, SIDE), sampling=sampling, max_frames=most)
        source = StreamSource(request, file_roots=[Path(clip).parent])
        found = []
        async with aclosing(source.frames()) as frames:
            async for frame in frames:
                found.append((frame.index, frame.tensor.copy()))
                frame.release()
        return found

    default_forkserver().start()
    try:
        # What forks the decoders imports what they need when it is first asked for one.
        asyncio.run(run(1))
        begun = cpu_seconds(os.getpid())
        found = asyncio.run(run())
        return cpu_seconds(os.getpid()) - begun, found
    finally:
        default_forkserver().stop()


def main(who: str, clip: str, rate: str, target: str | None = None) -> None:
    """Measure, keep, print."""
    cpu, found = ours(clip) if who == "ours" else peer(who, clip, int(rate))
    if target is not None:
        np.savez(target, tensors=np.stack([tensor for _, tensor in found]))
    print(json.dumps({"cpu": cpu, "frames": [index for index, _ in found]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
