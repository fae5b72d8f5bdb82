"""From a video of known colours to what models and people see of them, however they are coded."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from PIL import Image

from tests.support import cuda
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import read
from videofleet_worker.decode.frame import Frame
from videofleet_worker.device.host import HostDevice
from videofleet_worker.device.picture import ModelPicture
from videofleet_worker.device.placement import place
from videofleet_worker.models.manifest import ModelInput
from videofleet_worker.outputs.annotate import annotate
from videofleet_worker.outputs.jpeg import encode_jpeg
from videofleet_worker.outputs.shots import cut_out
from videofleet_worker.pipeline.crops import cut
from videofleet_worker.sources.ondevice import DecodeStation

COLOURS = ((200, 40, 40), (40, 190, 60), (50, 60, 210), (230, 200, 40))
OFF = 3
# FFmpeg's scaler rounds down, twice; its exact way takes more than twice as long.
OFF_SCALED = 4
MODEL = ModelInput(name="x", layout="NCHW", type="float32", colour="RGB", fit="stretch", width=64, height=48)
SMALL, LARGE = (640, 480), (1280, 720)
UNSPECIFIED = 2


def filmed(path: Path, size: tuple[int, int], made: Colorspace, said: int, tones: ColorRange) -> Path:
    """A video of four quarters, made by one matrix, that says another one, or none, of itself."""
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    for number, colour in enumerate(COLOURS):
        top, left = number // 2 * height // 2, number % 2 * width // 2
        picture[top : top + height // 2, left : left + width // 2] = colour
    frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(
        format="yuv420p",
        dst_colorspace=made,
        dst_color_range=tones,
        interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
    )
    frame.colorspace, frame.color_range = said, tones
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = said, tones
        for _ in range(3):
            frame.pts = None
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def in_quarters(image: np.ndarray) -> np.ndarray:
    """The colours in the middle of the quarters of [height, width, 3]."""
    height, width = image.shape[:2]
    return np.array([image[height * y // 4, width * x // 4] for y in (1, 3) for x in (1, 3)], int)


def seen(frame: Frame) -> dict[str, np.ndarray]:
    """What is seen of a frame, each as [height, width, 3]."""
    whole = (0.0, 0.0, float(frame.width), float(frame.height))
    crop = cut(frame.planes, whole, MODEL, full_range=frame.full_range, matrix=frame.matrix)
    assert crop is not None
    assert isinstance(crop.image, np.ndarray)
    marked = annotate(frame.planes, [], full_range=frame.full_range, matrix=frame.matrix)
    area = (0, 0, frame.width, frame.height)
    found = {
        "crop": crop.image.transpose(1, 2, 0),
        "picture": jpeg_pixels(encode_jpeg(marked, quality=95)),
        "shot": jpeg_pixels(cut_out(frame.planes, area, full_range=frame.full_range, matrix=frame.matrix).jpeg()),
    }
    if frame.tensor is not None:
        found["tensor"] = frame.tensor.transpose(1, 2, 0).copy()
    if frame.picture is not None:
        placement = place(whole, frame.width, frame.height, MODEL)
        assert placement is not None
        tensor = np.zeros((3, 48, 64), np.float32)
        cuda.run(ModelPicture(frame.picture, placement), MODEL, tensor)
        found["kernel"] = tensor.transpose(1, 2, 0)
    return found


def jpeg_pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


@pytest.mark.parametrize("station", [None, DecodeStation(HostDevice(), None)], ids=["in the child", "on a device"])
@pytest.mark.parametrize("tones", [ColorRange.MPEG, ColorRange.JPEG], ids=["broadcast", "full range"])
@pytest.mark.parametrize(
    ("size", "made", "said"),
    [
        (SMALL, Colorspace.ITU601, 5),
        (SMALL, Colorspace.ITU709, 1),
        (LARGE, Colorspace.ITU601, 6),
        (LARGE, Colorspace.ITU709, 1),
        (SMALL, Colorspace.ITU601, UNSPECIFIED),
        (LARGE, Colorspace.ITU709, UNSPECIFIED),
    ],
    ids=["small 601", "small 709", "large 601", "large 709", "small, says nothing", "large, says nothing"],
)
async def test_colours_are_those_that_were_filmed(
    make_source: MakeSource,
    tmp_path: Path,
    size: tuple[int, int],
    made: Colorspace,
    said: int,
    tones: ColorRange,
    station: DecodeStation | None,
) -> None:
    clip = filmed(tmp_path / "clip.mp4", size, made, said, tones)
    frames: list[dict[str, np.ndarray]] = []

    outcome = await read(make_source(clip, station=station), lambda frame: frames.append(seen(frame)), enough=1)

    assert outcome.error is None
    assert set(frames[0]) == {"crop", "picture", "shot", "kernel" if station else "tensor"}
    for what, image in frames[0].items():
        np.testing.assert_allclose(
            in_quarters(image), COLOURS, atol=OFF_SCALED if what == "tensor" else OFF, err_msg=what
        )
