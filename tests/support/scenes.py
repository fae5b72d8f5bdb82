"""Pictures and clips with a face and with writing in known places."""

import io
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Picture = npt.NDArray[np.uint8]
"""[height, width, 3], RGB."""
_ASTRONAUT = Path(__file__).parent / "media" / "astronaut.jpg"
ASTRONAUT_FACE = (178, 60, 270, 180)
"""Left, top, right and bottom of the face in the picture of 512x512 pixels."""


def astronaut() -> Image.Image:
    """A portrait of a woman, 512x512."""
    return Image.open(_ASTRONAUT).convert("RGB")


def canvas(width: int = 1280, height: int = 720) -> Image.Image:
    """An empty grey picture."""
    return Image.new("RGB", (width, height), (120, 130, 140))


def write(picture: Image.Image, text: str, left: int, top: int, size: int = 36) -> tuple[int, int, int, int]:
    """Write a line in black on white, as a sign; left, top, right and bottom of the letters."""
    font, draw = ImageFont.load_default(size), ImageDraw.Draw(picture)
    box = draw.textbbox((left, top), text, font=font)
    draw.rectangle((box[0] - 12, box[1] - 10, box[2] + 12, box[3] + 10), fill="white")
    draw.text((left, top), text, fill="black", font=font)
    return round(box[0]), round(box[1]), round(box[2]), round(box[3])


def clip(*pictures: Image.Image, fps: int = 10) -> bytes:
    """An MP4 file (H.264) of these pictures."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=fps)
        stream.width, stream.height = pictures[0].size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "12"}
        for picture in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")))
        output.mux(stream.encode(None))
    return file.getvalue()


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of two boxes of left, top, right and bottom."""
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (area - width * height)
