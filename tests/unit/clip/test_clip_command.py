"""`videofleet run` as a process, on a real clip with the real models."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from tests.support.cli import REPOSITORY
from tests.support.clip import VIDEO, begin, frames_in, on_terminal, run, times_in, yellow_at
from videofleet_api.results import RunResult

FILES = {"results.json", "frames.ndjson", "annotated.mp4", "contact-sheet.jpg", "snapshot.jpg", "shots"}


async def test_a_clip_becomes_a_table_a_film_a_sheet_and_documents(tmp_path: Path) -> None:
    ended = await run(VIDEO, "--classes", "person", "--range", "10-11.5", cwd=tmp_path)
    assert ended.code == 0, ended.err
    out = tmp_path / "vtest-384x288-results"
    assert {each.name for each in out.iterdir()} == FILES
    result = RunResult.model_validate_json((out / "results.json").read_bytes())
    assert result.finish_reason == "stop"
    assert len(result.tracks) >= 3
    frames = frames_in(out)
    assert [one["stream_info"]["frame_index"] for one in frames] == list(range(100, 115))
    assert times_in(out / "annotated.mp4") == pytest.approx([each / 10 for each in range(16)], abs=1e-3)
    rows = re.findall(r"^(\d+) +person +(0:1\d\.\d) +(0:1\d\.\d) +(\d+) +(0\.\d\d)", ended.out, re.MULTILINE)
    assert [(int(row[0]), int(row[3])) for row in rows] == [(one.track_id, one.frames_seen) for one in result.tracks]
    assert all(str(each) in ended.out for each in ("annotated.mp4", "contact-sheet.jpg", "results.json"))
    with Image.open(out / "contact-sheet.jpg") as sheet:
        assert sheet.format == "JPEG"


async def test_results_are_not_replaced_unless_told(tmp_path: Path) -> None:
    few = ("--max-frames", "2", "--no-film", "--out", "here")
    assert (await run(VIDEO, *few, cwd=tmp_path)).code == 0
    before = (tmp_path / "here" / "results.json").read_bytes()
    refused = await run(VIDEO, *few, cwd=tmp_path)
    assert refused.code == 2
    assert "--force" in refused.err
    assert (tmp_path / "here" / "results.json").read_bytes() == before
    assert (await run(VIDEO, *few, "--force", cwd=tmp_path)).code == 0
    assert (tmp_path / "here" / "results.json").read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--steps", "detct,track"), 2, "UNKNOWN_MODEL: .*'detct' .did you mean detect.*face.*ocr.*track"),
        (("--steps", "track"), 2, "BAD_PARAMETER: .*first step must find"),
        (("--classes", "persn"), 2, "BAD_PARAMETER: .*persn.*person"),
        (("--confidence", "2"), 2, "--confidence"),
        (("--models", "none"), 2, "model folder none: there is no such folder"),
        (("--range", "500-"), 1, "EMPTY: range.start is 500, and the source has 79.5 s: .*--range"),
        (
            ("--out", "/proc/nowhere"),
            1,
            "/proc/nowhere cannot be written: No such file.*: give another folder with --out",
        ),
        (("--out", "n" * 300), 1, "nnn cannot be written: File name too long: give another folder with --out"),
    ],
    ids=[
        *("unknown step", "nothing to track", "unknown class", "confidence", "no models", "beyond the end"),
        *("no place for results", "a name that is too long"),
    ],
)
async def test_what_cannot_be_done_is_refused_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    ended = await run(VIDEO, *arguments, cwd=tmp_path)
    assert ended.code == code
    assert re.search(says, ended.err)
    assert "Traceback" not in ended.err
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--steps", "detect", "--classes", "zebra,bear"), "no bear or zebra with a confidence of at least 0.35; try"),
        (("--confidence", "0.99"), "no object of any class with a confidence of at least 0.99; try a lower --conf"),
        (("--steps", "face", "--confidence", "0.99"), "faceboxes saw no face with a confidence of at least 0.99"),
    ],
    ids=["classes", "tracks", "a model of one class"],
)
async def test_where_nothing_is_found_it_says_what_was_sought(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    ended = await run(VIDEO, *arguments, "--max-frames", "2", "--no-film", "--out", "out", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert says in ended.out
    assert "best confidence" not in ended.out, "a table without a row"
    assert "results.json" in ended.out


@pytest.mark.parametrize(
    ("source", "code", "says"),
    [
        ("none.mp4", 1, "NOT_FOUND: there is no file .*none.mp4"),
        (".", 2, "is a folder"),
        ("job.yaml", 2, "-f job.yaml"),
        ("ftp://host/a.mp4", 1, "UNSUPPORTED: .*ftp.*rtsp"),
        (str(Path(__file__)), 1, "UNSUPPORTED: not a video"),
    ],
)
async def test_a_source_that_cannot_be_read_says_why(tmp_path: Path, source: str, code: int, says: str) -> None:
    ended = await run(source, cwd=tmp_path)
    assert ended.code == code
    assert re.search(says, ended.err)
    assert not os.listdir(tmp_path)


async def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    """Also one that is no UTF-8, as names from old archives are."""
    for name, results in ((b"\xd0\x9f\xd1\x80 1.mp4", "Пр-1-results"), (b"caf\xe9.mp4", "caf-results")):
        path = Path(os.fsdecode(bytes(tmp_path) + b"/" + name))
        shutil.copy(VIDEO, path)
        ended = await run(path, "--max-frames", "1", "--no-film", cwd=tmp_path)
        assert ended.code == 0, ended.err
        assert (tmp_path / results / "results.json").exists()


async def test_ctrl_c_while_it_loads_its_parts_ends_it_without_a_word(tmp_path: Path) -> None:
    # Who imports the first of them waits here, until it is interrupted.
    (tmp_path / "av.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(600)\n")
    path = os.pathsep.join([str(tmp_path), *(str(REPOSITORY / part) for part in ("api", "archive", "cli", "worker"))])
    process = await begin(VIDEO, cwd=tmp_path, PYTHONPATH=path)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 300) == b"loading\n"
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 300)
    assert (process.returncode, err) == (-signal.SIGINT, b"")


async def test_ctrl_c_keeps_what_there_is(tmp_path: Path) -> None:
    process = await begin("test://pattern?fps=25&objects=3", "--show", "--out", "out", cwd=tmp_path)
    assert process.stderr is not None
    told = (await asyncio.wait_for(process.stderr.readline(), 300)).decode()
    address = told.split()[1]
    async with aiohttp.ClientSession() as session:
        async with session.get(address) as page:
            assert "live.mjpg" in await page.text()
        async with session.get(f"{address}live.mjpg") as live:
            # A picture: by then frames were analysed.
            assert (await live.content.readline()).startswith(b"--")
    process.send_signal(signal.SIGINT)
    out, _ = await asyncio.wait_for(process.communicate(), 300)
    assert process.returncode == 130
    results = RunResult.model_validate_json((tmp_path / "out" / "results.json").read_bytes())
    assert results.finish_reason == "cancelled"
    assert b"results.json" in out
    frames = frames_in(tmp_path / "out")
    assert len(frames) == results.usage.processed_frames > 0
    assert len(times_in(tmp_path / "out" / "annotated.mp4")) == len(frames) + 1


async def test_a_second_signal_keeps_nothing(tmp_path: Path) -> None:
    process = await begin("test://pattern?fps=25&objects=3", "--show", "--out", "out", cwd=tmp_path)
    assert process.stderr is not None
    address = (await asyncio.wait_for(process.stderr.readline(), 300)).decode().split()[1]
    async with aiohttp.ClientSession() as session, session.get(f"{address}live.mjpg") as live:
        assert (await live.content.readline()).startswith(b"--")
        # It has both before it can end by the first; two of one kind would be one.
        for each in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
            process.send_signal(each)
    _, err = await asyncio.wait_for(process.communicate(), 300)
    assert process.returncode == 130
    assert "interrupted; nothing was kept" in err.decode()
    assert "Traceback" not in err.decode()
    assert not os.listdir(tmp_path)


async def test_on_a_terminal_a_bar_says_how_far_it_is(tmp_path: Path) -> None:
    ended, shown = await on_terminal(VIDEO, "--max-frames", "12", "--no-film", "--out", "out", cwd=tmp_path)
    assert ended == 0, shown
    assert re.search(r"vtest-384x288 .*(\d+)% *, *(\d+) frames", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)), shown
    assert "12 frames in" in shown


async def test_with_a_display_the_pictures_are_opened_in_a_browser(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    few = ("test://pattern?fps=25&frames=5&width=64&height=48", "--show", "--no-film", "--out", "out")
    ended = await run(*few, cwd=tmp_path, DISPLAY=":99", BROWSER=f"{browser} %s")
    assert ended.code == 0, ended.err
    (address,) = re.findall(r"pictures: (http\S+) \(in a browser\)", ended.err)
    assert (tmp_path / "opened").read_text().strip() == address


async def test_a_port_that_is_taken_and_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    few = ("test://pattern?fps=25&frames=5&width=64&height=48", "--no-film")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = await run(*few, "--show", "--port", port, cwd=tmp_path)
    assert (refused.code, os.listdir(tmp_path)) == (1, [])
    assert f"--port {port}: address already in use: give another one, or 0 for any" in refused.err
    homeless = await run(*few, "--out", "out", cwd=tmp_path, HOME="/proc/nowhere", XDG_CACHE_HOME="")
    assert homeless.code == 0, homeless.err


async def test_what_is_no_file_to_be_read_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    async with asyncio.timeout(120):
        refused = await run("pipe.mp4", cwd=tmp_path)
    assert refused.code == 1
    assert "Traceback" not in refused.err
    assert re.search(r"videofleet: [A-Z_]+: .*pipe.mp4", refused.err), refused.err


async def test_a_manifest_runs_as_it_is(tmp_path: Path) -> None:
    manifest = {
        "apiVersion": "videofleet.io/v1alpha1",
        "kind": "VideoJob",
        "metadata": {"name": "two"},
        "spec": {
            "source": {"url": f"file://{VIDEO}"},
            "maxFrames": 5,
            "sampling": {"mode": "fps", "value": 2},
            "analytics": [
                {
                    "name": "people",
                    "steps": [{"model": "detect", "parameters": {"classes": ["person"]}}, {"model": "track"}],
                },
                {"name": "cars", "steps": [{"model": "detect", "parameters": {"classes": ["car"]}}]},
            ],
            "zones": [
                {"name": "all", "polygon": [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 1, "y": 1}, {"x": 0, "y": 1}]}
            ],
            "lines": [{"name": "gate", "from": {"x": 0.1, "y": 0.9}, "to": {"x": 0.9, "y": 0.9}}],
        },
    }
    (tmp_path / "job.yaml").write_text(json.dumps(manifest))
    ended = await run("-f", "job.yaml", "--out", "out", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert "zone all: " in ended.out
    pts = [one["stream_info"]["pts"] for one in frames_in(tmp_path / "out" / "people")]
    assert pts == pytest.approx([0, 0.5, 1, 1.5, 2])
    assert times_in(tmp_path / "out" / "people" / "annotated.mp4")[:5] == pytest.approx(pts, abs=1e-3)
    assert yellow_at(tmp_path / "out" / "people" / "annotated.mp4", 0.25, 0.9), "the line is drawn"
    assert not yellow_at(tmp_path / "out" / "people" / "annotated.mp4", 0.25, 0.8)
    assert (tmp_path / "out" / "people" / "contact-sheet.jpg").exists()
    assert not (tmp_path / "out" / "cars" / "contact-sheet.jpg").exists()
