"""`videofleet` as the process that a person starts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import signal
import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from tests.support.cli import REPOSITORY, Ended

VIDEO = REPOSITORY / "examples" / "media" / "vtest-384x288.mp4"


async def begin(*arguments: str | Path, cwd: Path, **further: str) -> asyncio.subprocess.Process:
    """Start `videofleet run`; the test reads what it prints. Keywords: of its environment."""
    pipe = asyncio.subprocess.PIPE
    return await _started(arguments, cwd, further, stdout=pipe, stderr=pipe)


async def on_terminal(*arguments: str | Path, cwd: Path) -> tuple[int, str]:
    """Run it on a terminal; its exit code, and all that the terminal was sent."""
    ours, its = pty.openpty()
    process = await _started(arguments, cwd, {"TERM": "xterm", "COLUMNS": "120"}, stdout=its, stderr=its)
    os.close(its)
    shown = await asyncio.to_thread(_all_of, ours)
    return await asyncio.wait_for(process.wait(), 900), shown


def _all_of(terminal: int) -> str:
    shown = b""
    # A terminal that nobody holds any more ends with an error.
    with contextlib.suppress(OSError), open(terminal, "rb", buffering=0) as file:
        while data := file.read(4096):
            shown += data
    return shown.decode()


async def _started(
    arguments: Sequence[str | Path], cwd: Path, further: Mapping[str, str], **outputs: int
) -> asyncio.subprocess.Process:
    path = os.pathsep.join(str(REPOSITORY / part) for part in ("api", "archive", "cli", "worker"))
    shown = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "DISPLAY", "WAYLAND_DISPLAY")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "videofleet_clip", "run", *map(str, arguments)),
        cwd=cwd,
        env=shown | {"PYTHONPATH": path} | dict(further),
        # What a shell runs in the background ignores Ctrl-C, and so does all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **outputs,
    )


async def run(*arguments: str | Path, cwd: Path, **further: str) -> Ended:
    """Run it to its end."""
    process = await begin(*arguments, cwd=cwd, **further)
    out, err = await asyncio.wait_for(process.communicate(), 900)
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def frames_in(folder: Path) -> list[dict[str, Any]]:
    """The chunks of frames in a folder of results, without the end."""
    chunks = [json.loads(line) for line in (folder / "frames.ndjson").read_text().splitlines()]
    return [one for one in chunks if one["finish_reason"] is None]


def times_in(video: Path) -> list[float]:
    """When each picture of a video is shown, and at last when it ends."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        assert stream.duration is not None
        unit: Fraction = stream.time_base
        shown = [float(frame.pts * unit) for frame in container.decode(stream) if frame.pts is not None]
        return [round(each, 4) for each in (*shown, float(stream.duration * unit))]


def yellow_at(video: Path, x: float, y: float) -> bool:
    """Whether the first picture of a video is yellow, as lines are drawn, around a place in shares of its sides."""
    with av.open(str(video)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    height, width, _ = picture.shape
    row, column = round(y * height), round(x * width)
    around = picture[row - 4 : row + 5, column - 4 : column + 5]
    return bool((around[..., :2].min(axis=-1) - around[..., 2] > 80).any())
