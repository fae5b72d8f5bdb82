"""The kernel's source at work on the processor, against NumPy and against the processor's own ways to a tensor."""

from typing import Any, Literal

import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from tests.support import cuda
from tests.support.graphs import input_of
from tests.support.scenes import astronaut
from videofleet_worker.colours import Matrix
from videofleet_worker.decode.picture import PictureWriter
from videofleet_worker.decode.ring import RingLayout
from videofleet_worker.device import kernel
from videofleet_worker.device.host import HostDevice, picture_tensor, weights
from videofleet_worker.device.picture import ModelPicture, Picture
from videofleet_worker.device.placement import Box, place
from videofleet_worker.models.manifest import ModelInput
from videofleet_worker.pipeline.crops import cut

Layout = Literal["nv12", "yuv420p"]


def wanted(width: int, height: int, **fields: Any) -> ModelInput:
    return ModelInput.model_validate(input_of(width, height, **fields))


def noise(width: int, height: int, layout: Layout, **fields: Any) -> Picture:
    """Every value of every plane at random: nothing averages out by luck."""
    random = np.random.default_rng(7)
    half = ((height + 1) // 2, (width + 1) // 2)
    luma = _padded(random.integers(0, 256, (height, width), np.uint8))
    if layout == "nv12":
        both = random.integers(0, 256, (*half, 2), np.uint8)
        return Picture(luma, both[..., 0], both[..., 1], **fields)
    blue, red = (_padded(random.integers(0, 256, half, np.uint8)) for _ in range(2))
    return Picture(luma, blue, red, **fields)


def _padded(plane: Any) -> Any:
    """Rows that are longer than what they show, as decoders make them."""
    longer = np.zeros((plane.shape[0], plane.shape[1] + 29), np.uint8)
    longer[:, : plane.shape[1]] = plane
    return longer[:, : plane.shape[1]]


def asked(picture: Picture, model: ModelInput, region: Box | None = None) -> ModelPicture:
    placement = place(region or (0, 0, picture.width, picture.height), picture.width, picture.height, model)
    assert placement is not None
    return ModelPicture(picture, placement)


def by_kernel(question: ModelPicture, model: ModelInput, kind: str = "float32") -> Any:
    tensor = np.full(model.shape(1, question.placement.size)[1:], 77, kind)
    cuda.run(question, model, tensor)
    return np.moveaxis(tensor, 0 if model.layout == "NCHW" else -1, 0)


def test_the_structure_has_the_same_size_on_both_sides() -> None:
    assert cuda.library(4).job_bytes() == kernel.JOB.itemsize


@pytest.mark.parametrize("layout", ["nv12", "yuv420p"])
@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize("full_range", [False, True], ids=["broadcast", "full"])
def test_any_picture_comes_out_as_in_numpy(layout: Layout, matrix: Matrix, full_range: bool) -> None:
    picture, model = noise(99, 61, layout, full_range=full_range, matrix=matrix), wanted(32, 24, type="float32")
    question = asked(picture, model)
    assert np.abs(by_kernel(question, model) - picture_tensor(question, model)).max() < 2e-2


NORMAL = {"type": "float32", "mean": (123.675, 116.28, 103.53), "deviation": (58.395, 57.12, 57.375)}


@pytest.mark.parametrize(
    "fields",
    [
        {"fit": "stretch"},
        {"fit": "letterbox", "padding": 114},
        {"fit": "corner", "padding": 0},
        {"fit": "letterbox", "colour": "BGR"},
        {"fit": "stretch", "layout": "NHWC"},
        {"fit": "letterbox", "layout": "NHWC", "colour": "BGR"},
    ],
    ids=lambda fields: "-".join(map(str, fields.values())),
)
@pytest.mark.parametrize("region", [None, (10.5, 3.25, 70.0, 44.0), (80.0, 40.0, 99.0, 61.0)], ids=["all", "in", "end"])
def test_any_model_gets_what_it_reads(fields: dict[str, Any], region: Box | None) -> None:
    model = wanted(40, 32, **NORMAL, **fields)
    question = asked(noise(99, 61, "nv12"), model, region)
    assert np.abs(by_kernel(question, model) - picture_tensor(question, model)).max() < 1e-3


def test_a_model_of_bytes_gets_rounded_values() -> None:
    model = wanted(40, 32, type="uint8")
    question = asked(noise(99, 61, "nv12"), model)
    given, expected = by_kernel(question, model, "uint8"), picture_tensor(question, model)
    # What lies in the middle of two values may go either way.
    assert np.abs(given - expected).max() <= 1
    assert (given == expected).mean() > 0.995


def test_a_model_of_halves_gets_halves() -> None:
    model = wanted(40, 32, **(NORMAL | {"type": "float16"}))
    question = asked(noise(99, 61, "nv12"), model)
    assert np.abs(by_kernel(question, model, "float16") - picture_tensor(question, model)).max() < 2e-3


def test_a_picture_that_is_enlarged_is_interpolated() -> None:
    model = wanted(64, 64, type="float32")
    question = asked(noise(16, 16, "yuv420p"), model)
    assert np.abs(by_kernel(question, model) - picture_tensor(question, model)).max() < 2e-2


def test_every_pixel_of_the_plane_counts_the_same_in_the_middle() -> None:
    # Where one pixel is made of four, each sample reaches two of them with weights that sum up to a quarter.
    found = weights(64, 0.0, 4.0, 16)
    assert np.allclose(found.sum(axis=1), 1)
    assert np.allclose(found.sum(axis=0)[8:-8], 0.25, atol=1e-6)


def _frame(width: int, height: int, space: Colorspace | None = None) -> VideoFrame:
    frame = VideoFrame.from_ndarray(np.asarray(astronaut().resize((width, height))), "rgb24")
    made = frame.reformat(format="yuv420p", dst_colorspace=space, dst_color_range=ColorRange.MPEG)
    made.color_range = ColorRange.MPEG
    if space is not None:
        made.colorspace = space
    return made


def _picture(frame: VideoFrame, matrix: Matrix = "bt601") -> Picture:
    luma, blue, red = (np.array(HostDevice().read(plane)) for plane in frame.planes)
    return Picture(luma, blue, red, matrix=matrix)


@pytest.mark.parametrize(("space", "matrix"), [(Colorspace.ITU601, "bt601"), (Colorspace.ITU709, "bt709")])
@pytest.mark.parametrize("size", [(1920, 1080), (640, 480), (200, 200)])
def test_it_comes_close_to_what_a_child_makes(size: tuple[int, int], space: Colorspace, matrix: Matrix) -> None:
    """FFmpeg's scaler takes the mean of an area where the kernel takes a triangle: edges differ, pictures hardly."""
    frame, model = _frame(*size, space), wanted(416, 416, type="float32")
    layout = RingLayout(*size, 416, 416, slots=1)
    slot = layout.views(np.zeros(layout.total_bytes, np.uint8), 0)
    PictureWriter(416, 416).write(frame, slot)
    question = asked(_picture(frame, matrix), model)
    off = np.abs(by_kernel(question, model) - slot.tensor)
    assert off.mean() < 2.0
    assert np.quantile(off, 0.99) < 16


@pytest.mark.parametrize("size", [(1920, 1080), (200, 200)])
def test_it_comes_closer_to_ffmpegs_scaler_by_the_same_filter(size: tuple[int, int]) -> None:
    frame, model = _frame(*size), wanted(416, 416, type="float32")
    scaled = VideoReformatter().reformat(frame, 416, 416, "gbrp", interpolation=Interpolation.BILINEAR, threads=1)
    green, blue, red = (np.array(HostDevice().read(plane), np.float32) for plane in scaled.planes)
    off = np.abs(by_kernel(asked(_picture(frame), model), model) - np.stack([red, green, blue]))
    assert off.mean() < 1.0
    assert np.quantile(off, 0.999) < 6


@pytest.mark.parametrize(
    "region", [(0.0, 0.0, 640.0, 480.0), (100.0, 40.0, 340.0, 280.0), (200.0, 100.0, 230.0, 140.0)]
)
def test_it_comes_close_to_pillows_crops(region: Box) -> None:
    model = wanted(112, 112, type="float32", fit="letterbox")
    picture = _picture(_frame(640, 480))
    found = cut((picture.luma, picture.blue, picture.red), region, model, full_range=False)
    assert found is not None
    off = np.abs(by_kernel(asked(picture, model, region), model) - found.image)
    assert off.mean() < 1.0
    assert off.max() < 6
