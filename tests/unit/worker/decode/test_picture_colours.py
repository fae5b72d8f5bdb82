"""The model sees the colours that were filmed, whatever the decoder's frame says of its own."""

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from videofleet_worker.decode.picture import PictureWriter
from videofleet_worker.decode.ring import RingLayout

QUARTERS = ((230, 20, 20), (20, 220, 30), (20, 30, 240), (250, 250, 250))
# What 8 bits and half the colours leave of a flat area.
ROUNDING = 6


def filmed(width: int, height: int) -> np.ndarray:
    """Four coloured quarters, from left to right and from top to bottom."""
    picture = np.zeros((height, width, 3), np.uint8)
    for number, colour in enumerate(QUARTERS):
        top, left = number // 2 * height // 2, number % 2 * width // 2
        picture[top : top + height // 2, left : left + width // 2] = colour
    return picture


@pytest.mark.parametrize("model", [(416, 416), (25, 19)], ids=["a usual model", "odd sides"])
@pytest.mark.parametrize("size", [(768, 576), (320, 240)], ids=["made smaller", "made larger"])
@pytest.mark.parametrize("space", [Colorspace.ITU601, Colorspace.ITU709])
@pytest.mark.parametrize(
    ("pixels", "tones"),
    [
        ("yuv420p", ColorRange.MPEG),
        ("yuv420p", ColorRange.JPEG),
        ("yuvj420p", ColorRange.JPEG),
        ("yuv422p", ColorRange.MPEG),
        ("nv12", ColorRange.MPEG),
    ],
)
def test_the_tensor_has_the_colours_of_the_picture(
    pixels: str, tones: ColorRange, space: Colorspace, size: tuple[int, int], model: tuple[int, int]
) -> None:
    frame = av.VideoFrame.from_ndarray(filmed(*size), "rgb24").reformat(
        format=pixels, dst_colorspace=space, dst_color_range=tones
    )
    frame.colorspace, frame.color_range = space, tones
    layout = RingLayout(*size, *model, 1)
    slot = layout.views(np.zeros(layout.total_bytes, np.uint8), 0)
    PictureWriter(*model).write(frame, slot)
    for number, colour in enumerate(QUARTERS):
        row, column = (1 + 2 * (number // 2)) * model[1] // 4, (1 + 2 * (number % 2)) * model[0] // 4
        np.testing.assert_allclose(slot.tensor[:, row, column].astype(int), colour, atol=ROUNDING)
