"""The check finds each way in which an archive can be wrong, and nothing in one that is right."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.archives import (
    PREFIX,
    chunk,
    mark,
    open_writer,
    terminal,
    threads_over,
    write_frames,
)
from videofleet_archive import log
from videofleet_archive.__main__ import main
from videofleet_archive.acquire import scan
from videofleet_archive.check import check_log, logs_below
from videofleet_archive.merging import Sizes, tend
from videofleet_archive.results import results_key, write_results
from videofleet_archive.store import FolderArchive
from videofleet_archive.writer import SealPolicy

AT_ONCE = Sizes(merge_seconds=-10, delete_seconds=-10, part_bytes=1500)


@pytest.fixture
async def archive(tmp_path: Path) -> FolderArchive:
    """A finished log of two epochs, a part of it merged."""
    store = FolderArchive(tmp_path / "archive")
    async with threads_over(store) as threads:
        policy = SealPolicy(seconds=0, segment_bytes=1)
        first = await open_writer(threads, 1, policy=policy)
        await write_frames(first, range(8))
        await first.close()
        assert tend(store, PREFIX, 4e9, AT_ONCE, finished=False) > 0
        second = await open_writer(threads, 2, policy=policy)
        await write_frames(second, range(8, 12))
        await second.append(chunk(12, (3,)), mark(12, highest_track_id=3))
        await second.finish(terminal(12), mark(12, highest_track_id=3))
        write_results(store, PREFIX, "a-model")
    return store


def _overwrite(store: FolderArchive, place: int, change: Callable[[bytes], bytes]) -> int:
    """Change the bytes of the piece at this place; its offset."""
    piece = scan(store, PREFIX).segments[place]
    data = store.read(piece.key(PREFIX))
    assert data is not None
    changed = change(data)
    assert len(changed) == len(data)
    store.replace(piece.key(PREFIX), changed)
    return piece.offset


def _said(store: FolderArchive) -> str:
    return "\n".join(map(str, check_log(store, PREFIX)))


def test_a_log_as_it_should_be_has_nothing_wrong(archive: FolderArchive) -> None:
    assert check_log(archive, PREFIX) == []
    assert any(one.part for one in scan(archive, PREFIX).segments)
    assert logs_below(archive, "") == [PREFIX]


def test_what_a_killed_writer_leaves_is_nothing_wrong(archive: FolderArchive) -> None:
    archive.create(f"{PREFIX}/sidecars/{scan(archive, PREFIX).end:016d}", b"{}")
    assert check_log(archive, PREFIX) == []


def test_a_hole_is_told_with_both_its_ends(archive: FolderArchive) -> None:
    lost = scan(archive, PREFIX).segments[-3]
    archive.delete([lost.key(PREFIX)])
    assert f"{PREFIX} at {lost.offset}: there is a hole up to {lost.end}" in _said(archive)


def test_an_id_that_is_not_its_offset_is_told(archive: FolderArchive) -> None:
    offset = _overwrite(archive, -3, lambda data: data.replace(b"id: 0", b"id: 7"))
    assert f"at {offset}: this is no event whose id is the offset behind it" in _said(archive)


def test_a_document_that_is_none_is_told(archive: FolderArchive) -> None:
    offset = _overwrite(archive, -3, lambda data: data.replace(b'"object"', b'"object '))
    assert f"at {offset}: the chunk cannot be read" in _said(archive)


def test_a_bit_in_a_part_is_told(archive: FolderArchive) -> None:
    _overwrite(archive, 0, lambda data: data.replace(b'"frame_index":3', b'"frame_index":1'))
    assert "frame 1 follows frame 2" in _said(archive)


def test_something_behind_the_end_is_told(archive: FolderArchive) -> None:
    end = scan(archive, PREFIX).end
    archive.create(f"{PREFIX}/chunks/{end:016d}", log.epoch_comment(3, "late"))
    assert f"at {end}: there is something behind [DONE]" in _said(archive)


def test_an_epoch_that_comes_after_a_later_one_is_told(archive: FolderArchive) -> None:
    _overwrite(archive, 0, lambda data: data.replace(b": epoch 1", b": epoch 9"))
    assert "epoch 2 comes after epoch 9" in _said(archive)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("frame_index", 99, "the sidecar says frame 99, the results end with 12"),
        ("highest_track_id", 1, "the sidecar knows tracks up to 1, there is 3"),
        ("offset", 0, "the sidecar is that of offset 0"),
        ("epoch", "x", "the sidecar or its chunk cannot be read"),
    ],
)
def test_a_sidecar_that_says_something_else_is_told(
    archive: FolderArchive, field: str, value: object, said: str
) -> None:
    piece = scan(archive, PREFIX).segments[-2]
    stored = archive.read(piece.sidecar_key(PREFIX))
    assert stored is not None
    archive.replace(piece.sidecar_key(PREFIX), json.dumps(json.loads(stored) | {field: value}).encode())
    assert said in _said(archive)


def test_a_piece_without_a_sidecar_is_told(archive: FolderArchive) -> None:
    piece = scan(archive, PREFIX).segments[0]
    archive.delete([piece.sidecar_key(PREFIX)])
    assert f"at {piece.offset}: the piece has no sidecar" in _said(archive)


def test_a_segment_beneath_a_part_that_says_something_else_is_told(archive: FolderArchive) -> None:
    part = next(one for one in scan(archive, PREFIX).segments if one.part)
    archive.create(f"{PREFIX}/chunks/{part.offset + 30:016d}", b"id: by one who came back")
    assert f"at {part.offset + 30}: a segment says something else than the part above it" in _said(archive)


def test_names_that_no_writer_gives_are_told(archive: FolderArchive) -> None:
    for name in ("chunks/12", "parts/1-2", "sidecars/x", f"parts/{0:016d}-{5:016d}"):
        archive.create(f"{PREFIX}/{name}", b"?")
    said = _said(archive)
    for name, what in (
        ("chunks/12", "this is no name of a segment"),
        ("parts/1-2", "this is no name of a part"),
        ("sidecars/x", "this is no name of a sidecar"),
        (f"parts/{0:016d}-{5:016d}", "the part has 1 bytes, and its name says 5"),
    ):
        assert f"{PREFIX}/{name}: {what}" in said


def test_a_summary_that_is_not_what_the_log_says_is_told(archive: FolderArchive) -> None:
    stored = archive.read(results_key(PREFIX))
    assert stored is not None
    archive.replace(results_key(PREFIX), stored.replace(b'"processed_frames": 13', b'"processed_frames": 14'))
    assert "the summary is not what the log says" in _said(archive)


def test_a_run_of_so_many_frames_without_a_summary_is_told(archive: FolderArchive) -> None:
    archive.delete([results_key(PREFIX)])
    assert "the run is over and has no summary" in _said(archive)


def test_a_summary_of_a_run_that_goes_on_is_told(archive: FolderArchive) -> None:
    archive.delete([scan(archive, PREFIX).segments[-1].key(PREFIX)])
    assert "there is a summary of a run that is not over" in _said(archive)


def test_the_command_says_what_is_wrong_and_ends_so(
    archive: FolderArchive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--archive", str(tmp_path / "archive")]
    assert main(["check", *given]) == 0
    assert capsys.readouterr().out == "1 logs, 0 wrong\n"
    archive.delete([scan(archive, PREFIX).segments[0].sidecar_key(PREFIX)])
    assert main(["check", "default/job-1", *given]) == 1
    assert "has no sidecar" in capsys.readouterr().out
    assert main(["check", "default/nobody", *given]) == 2
    assert "there is no log below default/nobody" in capsys.readouterr().err
    assert main(["check", "--archive", "gs://elsewhere"]) == 2
    assert "neither a folder nor" in capsys.readouterr().err
