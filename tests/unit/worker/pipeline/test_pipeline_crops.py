"""Pictures for models, cut from frames."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.graphs import input_of
from tests.support.scenes import astronaut
from videofleet_worker.models.manifest import ModelInput
from videofleet_worker.outputs.jpeg import Planes
from videofleet_worker.pipeline.crops import Box, Crop, cut
from videofleet_worker.pipeline.steps import in_reading_order


def wanted(width: int, height: int, **fields: Any) -> ModelInput:
    return ModelInput.model_validate(input_of(width, height, **fields))


def planes_of(picture: Image.Image) -> Planes:
    """A picture as a decoder gives it: 4:2:0, all values from 0 to 255."""
    y, cb, cr = (np.asarray(plane) for plane in picture.convert("YCbCr").split())
    return y, *(np.asarray(Image.fromarray(one).reduce(2)) for one in (cb, cr))  # type: ignore[return-value]  # three


def crop(picture: Image.Image, region: Box, model: ModelInput) -> Crop:
    found = cut(planes_of(picture), region, model, full_range=True)
    assert found is not None
    return found


def test_a_part_is_cut_and_scaled_with_its_colours() -> None:
    picture, region = astronaut(), (100.0, 40.0, 340.0, 280.0)
    found = crop(picture, region, wanted(120, 120))
    expected = np.asarray(picture.resize((120, 120), Image.Resampling.BILINEAR, box=region)).transpose(2, 0, 1)
    assert np.abs(found.image.astype(int) - expected).mean() < 2.5


def test_broadcast_range_is_widened() -> None:
    grey = np.full((40, 40), 16, np.uint8), *([np.full((20, 20), 128, np.uint8)] * 2)
    black = cut((grey[0], grey[1], grey[2]), (0.0, 0.0, 40.0, 40.0), wanted(8, 8), full_range=False)
    assert black is not None
    assert black.image.max() == 0


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "corner"])
def test_boxes_in_a_models_image_come_back_to_where_they_were(fit: str) -> None:
    region: Box = (30.0, 20.0, 230.0, 120.0)
    found = crop(astronaut(), region, wanted(160, 160, fit=fit))
    placed = found.placement
    object_ = np.array([[80.0, 40.0, 130.0, 100.0]], np.float32)
    x = placed.left + (object_[:, 0::2] - region[0]) * placed.across
    y = placed.top + (object_[:, 1::2] - region[1]) * placed.down
    shares = np.stack([x[:, 0] / 160, y[:, 0] / 160, x[:, 1] / 160, y[:, 1] / 160], axis=1)
    np.testing.assert_allclose(placed.in_frame(shares), object_, atol=0.01)
    whole = placed.in_frame(np.array([[0, 0, 1, 1]], np.float32))
    np.testing.assert_allclose(whole, [region], atol=0.01)


@pytest.mark.parametrize(("fit", "rows"), [("letterbox", slice(40, 120)), ("corner", slice(0, 80))])
def test_proportions_are_kept_and_the_rest_is_padded(fit: str, rows: slice) -> None:
    white = Image.new("RGB", (200, 100), "white")
    image = crop(white, (0.0, 0.0, 200.0, 100.0), wanted(160, 160, fit=fit, padding=7)).image
    assert (image[:, rows] == 255).all()
    others = np.ones(160, bool)
    others[rows] = False
    assert (image[:, others] == 7).all()


@pytest.mark.parametrize(
    ("size", "taken"),
    [((100, 100), (256, 256)), ((256, 100), (256, 256)), ((300, 100), (512, 512)), ((2000, 2000), (1024, 1024))],
)
def test_the_smallest_size_that_loses_nothing_is_taken(size: tuple[int, int], taken: tuple[int, int]) -> None:
    model = wanted(1024, 1024, fit="letterbox", smaller=[[256, 256], [512, 512]])
    found = crop(Image.new("RGB", (2048, 2048)), (0.0, 0.0, float(size[0]), float(size[1])), model)
    assert (found.image.shape[2], found.image.shape[1]) == taken


@pytest.mark.parametrize(("size", "taken"), [((60, 30), 160), ((300, 90), 160), ((400, 48), 640), ((5000, 40), 960)])
def test_a_line_of_text_gets_the_width_that_it_needs(size: tuple[int, int], taken: int) -> None:
    model = wanted(960, 48, fit="corner", smaller=[[160, 48], [320, 48], [640, 48]])
    found = crop(Image.new("RGB", (5000, 100)), (0.0, 0.0, float(size[0]), float(size[1])), model)
    assert found.image.shape == (3, 48, taken)


def test_what_lies_past_the_edge_is_left_out_and_nothing_is_no_picture() -> None:
    picture = astronaut()
    assert crop(picture, (-50.0, -50.0, 30.0, 60.0), wanted(32, 32)).placement.region == (0.0, 0.0, 30.0, 60.0)
    planes = planes_of(picture)
    for region in ((600.0, 0.0, 700.0, 50.0), (10.0, 10.0, 10.4, 90.0), (511.5, 0.0, 530.0, 90.0)):
        assert cut(planes, region, wanted(32, 32), full_range=True) is None


def test_odd_sizes_can_be_cut_to_the_last_pixel() -> None:
    y = np.full((101, 203), 200, np.uint8)
    chroma = np.full((51, 102), 128, np.uint8)
    found = cut((y, chroma, chroma), (201.0, 99.0, 203.0, 101.0), wanted(16, 16), full_range=True)
    assert found is not None
    assert (found.image == 200).all()


def test_lines_are_read_from_the_top_and_from_the_left() -> None:
    first, second = (10.0, 12.0, 50.0, 30.0), (60.0, 10.0, 90.0, 31.0)
    third = (5.0, 40.0, 80.0, 60.0)
    boxes = np.array([third, second, first], np.float32)
    assert in_reading_order(boxes) == [first, second, third]
    assert in_reading_order(np.zeros((0, 4), np.float32)) == []
