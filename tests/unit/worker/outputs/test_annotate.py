"""Boxes and labels drawn into planes, and the JPEG made of them."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from videofleet_worker.outputs.annotate import Mark, annotate, track_colour
from videofleet_worker.outputs.jpeg import Planes, encode_jpeg, full_range_copy
from videofleet_worker.outputs.outlines import Outline


def flat(width: int, height: int, y: int = 100) -> Planes:
    chroma = ((height + 1) // 2, (width + 1) // 2)
    return np.full((height, width), y, np.uint8), np.full(chroma, 128, np.uint8), np.full(chroma, 128, np.uint8)


def changed(picture: Planes, original: Planes) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray(picture[0] != original[0])


def test_a_box_is_drawn_in_the_colour_of_its_track_and_the_original_stays() -> None:
    original = flat(320, 240)
    picture = annotate(original, [Mark((100, 80, 180, 200), "person", 0.83, 12)], full_range=True)
    y, u, v = track_colour(12)
    for row, column in [(80, 140), (199, 140), (140, 100), (140, 179)]:
        assert (picture[0][row, column], picture[1][row // 2, column // 2], picture[2][row // 2, column // 2]) == (
            y,
            u,
            v,
        )
    assert (original[0] == 100).all()
    assert (picture[0][90:190, 110:170] == 100).all()
    assert not changed(picture, original)[:, 250:].any()


def test_the_label_names_class_track_and_confidence() -> None:
    assert Mark((0, 0, 1, 1), "person", 0.834, 12).text == "person 12 0.83"
    assert Mark((0, 0, 1, 1), "person", 0.5).text == "person 0.50"


def test_the_label_stands_above_the_box_with_dark_and_light_pixels() -> None:
    original = flat(320, 240)
    picture = annotate(original, [Mark((100, 80, 180, 200), "person", 0.83, 12)], full_range=True)
    label = picture[0][62:80, 100:180]
    background = track_colour(12)[0]
    assert (label == background).mean() > 0.5
    assert (np.abs(label.astype(int) - background) > 80).mean() > 0.05


def test_other_texts_give_other_pictures() -> None:
    pictures = [
        annotate(flat(320, 240), [Mark((100, 80, 180, 200), "person", confidence, 12)], full_range=True)[0]
        for confidence in (0.83, 0.84)
    ]
    assert (pictures[0] != pictures[1]).any()


def test_labels_of_neighbours_do_not_cover_each_other() -> None:
    marks = [Mark((100, 100, 140, 180), "person", 0.9, 1), Mark((110, 100, 150, 180), "person", 0.8, 2)]
    y = annotate(flat(400, 240), marks, full_range=True)[0]
    above, below = y[86:98, 102:180], y[182:190, 112:190]
    assert (above == track_colour(1)[0]).mean() > 0.4
    assert (below == track_colour(2)[0]).mean() > 0.4


@pytest.mark.parametrize(
    "box", [(-50, -50, 60, 60), (280, 200, 400, 300), (-10, -10, 400, 300), (500, 500, 600, 600), (10, 230, 30, 239)]
)
def test_marks_that_reach_past_the_picture_are_cut(box: tuple[float, float, float, float]) -> None:
    picture = annotate(flat(321, 241), [Mark(box, "person", 0.9, 3)], full_range=True)
    assert [plane.shape for plane in picture] == [(241, 321), (121, 161), (121, 161)]
    assert encode_jpeg(picture)[:2] == b"\xff\xd8"


ZONE = Outline(((0.25, 0.5), (0.75, 0.5), (0.75, 0.75), (0.25, 0.75)), "door 2 in, 14 entered", closed=True)
LINE = Outline(((0.0, 0.25), (1.0, 0.25)), "gate L>R 5, R>L 3", closed=False)


def test_zones_are_drawn_white_and_lines_yellow() -> None:
    original = flat(640, 480)
    picture = annotate(original, [], full_range=True, outlines=[ZONE, LINE])
    y, u, v = picture
    assert 255 in y[300, 157:163], "the zone's left side"
    assert set(u[300 // 2, 70:90]) == set(v[300 // 2, 70:90]) == {128}
    assert 226 in y[117:123, 20]
    assert (1 in u[58:62, 10], 149 in v[58:62, 10]) == (True, True)
    assert (original[0] == 100).all()
    # Inside, and below the zone.
    assert not changed(picture, original)[250:350, 170:470].any()
    assert not changed(picture, original)[370:].any()


def test_counts_stand_above_a_zone_and_at_the_middle_of_a_line() -> None:
    original = flat(640, 480)
    few = annotate(original, [], full_range=True, outlines=[ZONE, LINE])
    more = Outline(ZONE.corners, "door 3 in, 15 entered", closed=True)
    rows, columns = np.nonzero(annotate(original, [], full_range=True, outlines=[more, LINE])[0] != few[0])
    assert 220 <= rows.min() <= rows.max() < 240
    assert columns.min() >= 160
    crossed = Outline(LINE.corners, "gate L>R 6, R>L 3", closed=False)
    rows, columns = np.nonzero(annotate(original, [], full_range=True, outlines=[ZONE, crossed])[0] != few[0])
    assert 100 <= rows.min() <= rows.max() < 120
    assert columns.min() >= 320


def test_labels_of_objects_leave_those_of_zones_readable() -> None:
    alone = annotate(flat(640, 480), [], full_range=True, outlines=[ZONE])
    mark = Mark((160, 240, 220, 300), "person", 0.9, 1)
    both = annotate(flat(640, 480), [mark], full_range=True, outlines=[ZONE])
    assert np.array_equal(both[0][222:238, 160:280], alone[0][222:238, 160:280])


def test_a_zone_as_large_as_a_picture_of_odd_size() -> None:
    whole = Outline(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)), "all 0 in, 0 entered", closed=True)
    picture = annotate(flat(321, 241), [], full_range=True, outlines=[whole])
    assert {int(picture[0][row, column]) for row, column in [(240, 100), (100, 320), (100, 0)]} == {255}
    assert encode_jpeg(picture)[:2] == b"\xff\xd8"


def test_labels_are_the_same_whether_threads_share_the_font_or_not() -> None:
    """So many that none is remembered when it is drawn the second time."""

    def drawn(track: int) -> bytes:
        return annotate(flat(160, 40), [Mark((0, 20, 10, 30), "person", 0.5, track)], full_range=True)[0].tobytes()

    with ThreadPoolExecutor(8) as threads:
        shared = list(threads.map(drawn, range(600)))
    assert shared == [drawn(track) for track in range(600)]


def test_a_picture_smaller_than_a_label() -> None:
    picture = annotate(flat(9, 7), [Mark((1, 1, 8, 6), "person", 0.9, 3)], full_range=True)
    assert picture[0].shape == (7, 9)


def test_tracks_have_different_colours_that_stay() -> None:
    colours = [track_colour(number) for number in range(1, 30)]
    assert len(set(colours)) == 29
    assert colours == [track_colour(number) for number in range(1, 30)]
    assert all(0 <= part <= 255 for colour in colours for part in colour)


def test_broadcast_range_becomes_full_range() -> None:
    y = np.array([[16, 235], [126, 0]], np.uint8)
    chroma = np.array([[240]], np.uint8)
    wide = full_range_copy((y, chroma, np.array([[16]], np.uint8)), full_range=False)
    assert wide[0].tolist() == [[0, 255], [128, 0]]
    assert (wide[1].item(), wide[2].item()) == (255, 0)
    same = full_range_copy((y, chroma, chroma), full_range=True)
    assert same[0].tolist() == y.tolist()
    assert not np.shares_memory(same[0], y)


@pytest.mark.parametrize(
    ("width", "height"), [(64, 48), (65, 48), (64, 49), (65, 49), (1, 1), (1, 8), (8, 1), (2, 2), (1920, 1081)]
)
def test_every_size_becomes_a_jpeg_of_the_same_picture(width: int, height: int) -> None:
    y, u, v = flat(width, height)
    u[:], v[:] = 90, 200
    decoded = Image.open(io.BytesIO(encode_jpeg((y, u, v))))
    assert decoded.size == (width, height)
    middle = np.asarray(decoded.convert("YCbCr"))[height // 2, width // 2].astype(int)
    assert np.abs(middle - [100, 90, 200]).max() <= 3


def test_rows_with_padding_are_read_as_rows() -> None:
    y, u, v = flat(64, 48)
    padded = np.random.default_rng(1).integers(0, 255, (48, 80), dtype=np.uint8)
    padded[:, :64] = y
    assert encode_jpeg((padded[:, :64], u, v)) == encode_jpeg((y, u, v))


def test_a_higher_quality_is_nearer_to_the_picture() -> None:
    y, u, v = flat(64, 64)
    y[:] = np.random.default_rng(1).integers(0, 255, (64, 64))

    def error(quality: int) -> float:
        grey = simplejpeg.decode_jpeg(encode_jpeg((y, u, v), quality=quality), colorspace="GRAY")[..., 0]
        return float(np.abs(grey.astype(int) - y).mean())

    assert error(95) < error(50) < error(10)


def test_chroma_of_another_size_is_refused() -> None:
    y, u, _ = flat(64, 48)
    with pytest.raises(ValueError, match=r"64x48 picture must have chroma of \(24, 32\)"):
        encode_jpeg((y, u, u[:-1]))
