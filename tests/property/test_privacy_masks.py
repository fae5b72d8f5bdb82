"""Laws of privacy masks: nothing under one is left, and little beside it is taken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videofleet_worker.analytics.geometry import Polygons
from videofleet_worker.decode.masks import Mask, MaskBurner, Planes, covered_cells

_shares = st.floats(0, 1, width=32)
_corners = st.lists(st.tuples(_shares, _shares), min_size=3, max_size=8).map(tuple)
_sides = st.integers(2, 70)


def _planes(width: int, height: int, seed: int = 0) -> Planes:
    random = np.random.default_rng(seed)
    chroma = ((height + 1) // 2, (width + 1) // 2)
    y, u, v = (random.integers(1, 256, shape, np.uint8) for shape in ((height, width), chroma, chroma))
    return y, u, v


@given(_corners, _sides, _sides)
def test_every_pixel_that_a_mask_touches_is_covered_and_only_few_others(
    corners: tuple[tuple[float, float], ...], width: int, height: int
) -> None:
    cells = covered_cells(corners, width, height)
    pixels = cells.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    outline = Polygons.of([corners], (width, height))
    rows, columns = np.mgrid[:height, :width]
    # Many places of every pixel, for an edge may only graze it.
    for x, y in [(0.5, 0.5), (0.01, 0.01), (0.99, 0.01), (0.01, 0.99), (0.99, 0.99), (0.5, 0.01), (0.01, 0.5)]:
        places = np.stack((columns.ravel() + x, rows.ravel() + y), axis=1)
        inside = outline.contain(places)[:, 0].reshape(height, width)
        assert not (inside & ~pixels).any()
    middles = np.stack((columns.ravel() + 0.5, rows.ravel() + 0.5), axis=1)
    far = outline.border_distances(middles)[:, 0].reshape(height, width) > 3
    outside = ~outline.contain(middles)[:, 0].reshape(height, width)
    assert not (pixels & far & outside).any()


@given(_corners, _sides, _sides, st.booleans())
def test_black_is_black_and_the_rest_is_as_it_was(
    corners: tuple[tuple[float, float], ...], width: int, height: int, full_range: bool
) -> None:
    before = _planes(width, height)
    after = tuple(plane.copy() for plane in before)
    MaskBurner([Mask(corners)], width, height).burn((after[0], after[1], after[2]), full_range=full_range)
    cells = covered_cells(corners, width, height)
    pixels = cells.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    for plane, was, covered, value in zip(
        after, before, (pixels, cells, cells), (0 if full_range else 16, 128, 128), strict=True
    ):
        assert (plane[covered] == value).all()
        assert (plane[~covered] == was[~covered]).all()


@given(_corners, st.integers(64, 200), st.integers(64, 200))
def test_what_is_blurred_takes_few_values_and_the_model_gets_one(
    corners: tuple[tuple[float, float], ...], width: int, height: int
) -> None:
    planes = _planes(width, height)
    burner = MaskBurner([Mask(corners, blur=True)], width, height)
    burner.burn(planes, full_range=False)
    cells = covered_cells(corners, width, height)
    pixels = cells.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    rows, columns = np.ptp(np.flatnonzero(pixels.any(axis=1))) + 1, np.ptp(np.flatnonzero(pixels.any(axis=0))) + 1
    most = max(1, rows // 16) * max(1, columns // 16)
    assert len(np.unique(planes[0][pixels])) <= most
    burner.flatten(planes)
    assert [len(np.unique(plane[covered])) for plane, covered in zip(planes, (pixels, cells, cells), strict=True)] == [
        1,
        1,
        1,
    ]


def test_black_lies_over_blur_in_whatever_order_they_are_named() -> None:
    whole, half = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)), ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
    for masks in ([Mask(half), Mask(whole, blur=True)], [Mask(whole, blur=True), Mask(half)]):
        planes = _planes(64, 64)
        MaskBurner(masks, 64, 64).burn(planes, full_range=False)
        assert (planes[0][:, :32] == 16).all()
        # An edge on the border of two cells touches both.
        assert (planes[0][:, 34:] > 16).all()


def test_a_mask_outside_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="must lie in the picture"):
        MaskBurner([Mask(((0.0, 0.0), (1.5, 0.0), (1.0, 1.0)))], 64, 64)
