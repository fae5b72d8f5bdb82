"""Re-encodes a video to the H.264 form that the camera examples play.

Closed GOPs of at most two seconds and no B-frames let a viewer join a live stream quickly; the index at the front
(faststart) lets an HTTP client start at once. Needs PyAV.
"""

from __future__ import annotations

import argparse
from fractions import Fraction

import av
from av.video.frame import PictureType, VideoFrame

FRAMES_PER_SECOND = 10
KEYFRAME_INTERVAL = 20
BLACK = "black"
# One thread, for otherwise the number of slices, and with it every byte, would depend on the machine.
ENCODER_OPTIONS = {"preset": "veryslow", "profile": "main", "bf": "0", "keyint_min": "10", "threads": "1"}


def encode(source: str, target: str, width: int, height: int, crf: int) -> int:
    """Writes every frame of `source` to `target` at a constant ten frames a second; returns how many there were."""
    count = 0
    with av.open(source) as reader, av.open(target, "w", options={"movflags": "+faststart"}) as writer:
        options = {**ENCODER_OPTIONS, "crf": str(crf), "g": str(KEYFRAME_INTERVAL)}
        stream = writer.add_stream("libx264", rate=FRAMES_PER_SECOND, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for count, decoded in enumerate(reader.decode(video=0), start=1):
            frame = decoded.reformat(width, height, "yuv420p")
            frame.pts, frame.time_base = count - 1, Fraction(1, FRAMES_PER_SECOND)
            # The picture types of the source would otherwise be forced on the encoder.
            frame.pict_type = PictureType.NONE
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    return count


def encode_black(target: str, width: int, height: int, count: int) -> int:
    """Writes `count` black frames to `target`; returns how many there were."""
    with av.open(target, "w", options={"movflags": "+faststart"}) as writer:
        options = {**ENCODER_OPTIONS, "g": str(KEYFRAME_INTERVAL)}
        stream = writer.add_stream("libx264", rate=FRAMES_PER_SECOND, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(count):
            frame = VideoFrame(width, height, "yuv420p")
            for plane, value in zip(frame.planes, (16, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = index, Fraction(1, FRAMES_PER_SECOND)
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    return count


def main() -> None:
    """Reads the command line and encodes one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help=f"a video; {BLACK}: two seconds of black pictures")
    parser.add_argument("target")
    parser.add_argument("--size", default="768x576", help="WIDTHxHEIGHT in pixels")
    parser.add_argument("--crf", type=int, default=35, help="x264 constant rate factor, higher is smaller")
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    if arguments.source == BLACK:
        frames = encode_black(arguments.target, width, height, KEYFRAME_INTERVAL)
    else:
        frames = encode(arguments.source, arguments.target, width, height, arguments.crf)
    print(f"{arguments.target}: {frames} frames of {width}x{height}")


if __name__ == "__main__":
    main()
