"""JPEG of pictures that lie on a device: nvImageCodec with its encoder for the processor stands in for nvJPEG."""

import io
import logging
import sys

import numpy as np
import numpy.typing as npt
import pytest
from av.video.frame import VideoFrame
from PIL import Image

from tests.support.scenes import astronaut
from videofleet_worker.decode.masks import Mask
from videofleet_worker.decode.messages import UseMasks
from videofleet_worker.device.device import Device
from videofleet_worker.device.host import HostDevice
from videofleet_worker.device.jpeg import Area, CodecEncoder, PictureEncoder, open_encoder
from videofleet_worker.device.picture import Array, ModelPicture, Picture
from videofleet_worker.device.shelf import DeviceRing, DeviceShelf, DeviceViews
from videofleet_worker.models.manifest import ModelInput
from videofleet_worker.outputs.shots import cut_out

WHOLE = (0, 0, 512, 512)
FACE = (170, 60, 281, 175)


@pytest.fixture(scope="module")
def encoder() -> PictureEncoder:
    return CodecEncoder(HostDevice())


def portrait(layout: str = "yuv420p") -> VideoFrame:
    return VideoFrame.from_ndarray(np.asarray(astronaut()), "rgb24").reformat(format=layout)


def on_device(
    frame: VideoFrame, encoder: PictureEncoder | None, masks: tuple[Mask, ...] = (), device: Device | None = None
) -> DeviceViews:
    rings: list[DeviceRing] = []
    shelf = DeviceShelf(device or HostDevice(), 1, rings.append, encoder)
    shelf.use(UseMasks(number=1, masks=list(masks)))
    slot = shelf.slot(frame)
    assert slot is not None
    shelf.write(frame, slot)
    return rings[0].take(slot)


def pixels(jpeg: bytes | None) -> npt.NDArray[np.int16]:
    assert jpeg is not None
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"), np.int16)


@pytest.mark.parametrize("area", [WHOLE, FACE, (0, 0, 17, 9), (510, 508, 512, 512)], ids=str)
@pytest.mark.parametrize("layout", ["yuv420p", "nv12", "yuvj420p"])
def test_it_shows_what_the_processors_encoder_shows(encoder: PictureEncoder, area: Area, layout: str) -> None:
    views = on_device(portrait(layout), encoder)
    found = pixels(views.jpeg(area))
    planes = on_device(portrait("yuv420p" if layout == "nv12" else layout), None).planes
    expected = pixels(cut_out(planes, area, full_range=layout == "yuvj420p").jpeg())
    assert found.shape == expected.shape == (area[3] - area[1], area[2] - area[0], 3)
    assert np.abs(found - expected).mean() < 3


def test_it_is_about_as_large(encoder: PictureEncoder) -> None:
    views = on_device(portrait(), encoder)
    found, expected = views.jpeg(WHOLE), cut_out(views.planes, WHOLE, full_range=False).jpeg()
    assert found is not None
    assert 0.8 < len(found) / len(expected) < 1.25


def test_what_is_masked_is_left_to_the_processor(encoder: PictureEncoder) -> None:
    left = Mask(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
    assert on_device(portrait(), encoder, (left,)).jpeg(FACE) is None


def test_without_an_encoder_it_is_left_to_the_processor() -> None:
    assert on_device(portrait(), None).jpeg(FACE) is None


def test_planes_come_from_the_device_once() -> None:
    views = on_device(portrait(), None)
    assert views.planes is views.planes


class Failing(HostDevice):
    """A device whose kernel fails from some time on."""

    def __init__(self) -> None:
        self.asked = 0

    def fill(self, tensor: Array, asked: ModelPicture, wanted: ModelInput) -> None:
        self.asked += 1
        raise RuntimeError("cudaErrorMemoryAllocation")


def test_what_fails_once_is_left_to_the_processor_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    device = Failing()
    views = on_device(portrait(), CodecEncoder(device), device=device)
    with caplog.at_level(logging.WARNING):
        assert [views.jpeg(FACE) for _ in range(3)] == [None, None, None]
    assert device.asked == 1
    assert [record.getMessage() for record in caplog.records] == [
        "pictures are encoded on the processor from now on: cudaErrorMemoryAllocation"
    ]


class WithoutDriver(HostDevice):
    """What nvImageCodec is told on a machine whose driver is gone."""

    kind = "cuda"  # type: ignore[assignment,misc]  # one that is not there


def test_without_a_driver_the_processor_encodes(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert open_encoder(WithoutDriver()) is None
    assert "pictures are encoded on the processor: RuntimeError" in caplog.text


def test_without_the_package_the_processor_encodes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "nvidia", None)
    with caplog.at_level(logging.WARNING):
        assert open_encoder(HostDevice()) is None
    assert "pictures are encoded on the processor: ModuleNotFoundError" in caplog.text


def test_a_picture_is_cut_at_full_resolution(encoder: PictureEncoder) -> None:
    luma = np.zeros((64, 64), np.uint8)
    luma[:, ::16] = 255
    grey = np.full((32, 32), 128, np.uint8)
    found = pixels(encoder.encode(Picture(luma, grey, grey, full_range=True), (0, 0, 64, 64)))
    assert set(np.flatnonzero(found.mean(axis=(0, 2)) > 128)) == {0, 16, 32, 48}
