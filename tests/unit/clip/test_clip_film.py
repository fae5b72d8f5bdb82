"""The annotated video and the folder that it goes into."""

from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.clip import times_in
from videofleet_clip.errors import ClipError
from videofleet_clip.film import Film
from videofleet_clip.folder import FILM, RESULTS, SHEET, ResultFolder
from videofleet_clip.sheet import Entry, draw_sheet
from videofleet_worker.outputs.jpeg import Planes, encode_jpeg


def _grey(value: int, width: int = 64, height: int = 48) -> Planes:
    chroma = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    return np.full((height, width), value, np.uint8), chroma, chroma.copy()


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        ([0.0, 0.1, 0.2], [0.0, 0.1, 0.2, 0.3]),
        ([12.0, 12.04, 12.54, 13.0], [0.0, 0.04, 0.54, 1.0, 1.46]),
        ([0.0, 1001 / 30000, 2002 / 30000], [0.0, 0.0334, 0.0667, 0.1001]),
        ([5.0], [0.0, 0.04]),
    ],
    ids=["constant rate", "variable rate", "29.97", "one picture"],
)
def test_each_picture_is_shown_at_its_own_time(tmp_path: Path, times: list[float], shown: list[float]) -> None:
    film = Film(tmp_path / "a.mp4")
    for number, pts in enumerate(times):
        film.add(_grey(60 * number), pts)
    film.close()
    assert times_in(tmp_path / "a.mp4") == pytest.approx(shown, abs=2e-4)


def test_a_film_has_the_pictures_that_it_was_given(tmp_path: Path) -> None:
    film = Film(tmp_path / "a.mp4")
    values = [0, 100, 255]
    for number, value in enumerate(values):
        # Odd sides lose a row and a column, and other sizes are brought to that of the first.
        size = (65, 49) if number < 2 else (130, 98)
        film.add(_grey(value, *size), number / 10)
    film.close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        frames = list(container.decode(video=0))
    assert [(one.width, one.height) for one in frames] == [(64, 48)] * 3
    means = [np.frombuffer(one.planes[0], np.uint8).reshape(48, -1)[:, :64].mean() for one in frames]
    assert means == pytest.approx(values, abs=3)


def test_results_replace_those_of_an_earlier_run_at_the_end_and_only_if_told(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    for name in (RESULTS, SHEET, "notes.txt"):
        (target / name).write_text("old")
    with pytest.raises(ClipError, match="--force"):
        ResultFolder(target, force=False)
    folder = ResultFolder(target, force=True)
    new = folder.staging / "r"
    new.write_text("new")
    assert (target / RESULTS).read_text() == "old"
    folder.publish("main", alone=True, made={RESULTS: new, FILM: folder.staging / "never made"})
    folder.close()
    assert {each.name: each.read_text() for each in target.iterdir()} == {RESULTS: "new", "notes.txt": "old"}


def test_a_run_without_results_leaves_no_folder(tmp_path: Path) -> None:
    ResultFolder(tmp_path / "a" / "b", force=False).close()
    assert not (tmp_path / "a" / "b").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ClipError, match="not a folder"):
        ResultFolder(tmp_path / "taken", force=True)


@pytest.mark.parametrize("count", [1, 7, 300])
def test_a_sheet_holds_any_number_of_pictures_of_any_form(tmp_path: Path, count: int) -> None:
    forms = [(40, 160), (160, 40), (2, 2)]
    entries = [Entry(encode_jpeg(_grey(200, *forms[at % 3])), f"{at} person", "0:01.0") for at in range(count)]
    draw_sheet(entries, tmp_path / "sheet.jpg")
    with av.open(str(tmp_path / "sheet.jpg")) as sheet:
        assert sheet.streams.video[0].width > 100
