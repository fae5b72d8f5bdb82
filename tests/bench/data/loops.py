"""The loop that people write themselves, as a process beside ours."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.bench.data.agreement import LEAST, model_path
from tests.bench.data.setup import Setup

Found = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Ran:
    """How a pass went: frames, and seconds of the clock, of the processor, and of that inside the session."""

    frames: int
    seconds: float
    cpu: float
    inference: float

    @property
    def outside(self) -> float:
        """Milliseconds of processor time a frame outside the session."""
        return 1e3 * (self.cpu - self.inference) / self.frames

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds


def run_loop(setup: Setup, how: str, source: str, frames: int, results: Path) -> Ran:
    """One pass of peers/loop.py."""
    return Ran(**json.loads(setup.run("loop.py", how, model_path(), source, frames, results, peer="cv2")))


@contextmanager
def watching(setup: Setup, sources: Sequence[str], every: int) -> Iterator[list[tuple[int, Path]]]:
    """A process of peers/loop.py for each camera: their ids, and where they write a line for each frame. They look at
    one of every so many frames."""
    environment = {**setup.environment, "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp"}
    with ExitStack() as stack:
        started = []
        for number, source in enumerate(sources):
            results = setup.folder / f"watched-{number}.jsonl"
            # Lines of the round before would pass for the first ones of this.
            results.unlink(missing_ok=True)
            command = setup.command("loop.py", "watch", model_path(), source, every, results, peer="cv2")
            process = stack.enter_context(
                subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            stack.callback(process.kill)
            started.append((process.pid, results))
        yield started


def told_by_loop(results: Path) -> list[Found]:
    """Boxes and scores, frame by frame."""
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    return [_found([(one["box"], one["score"]) for one in line["people"]]) for line in lines]


def told_by_us(chunks: Sequence[dict[str, object]]) -> list[Found]:
    """The same of the documents of a log."""
    found = []
    for chunk in chunks:
        if chunk["finish_reason"] is None:
            delta = chunk["delta"]
            assert isinstance(delta, dict)
            targets = [target for result in delta["results"] for target in result["targets"]]
            found.append(_found([(_corners(target["roi"]), target["confidence"]) for target in targets]))
    return found


def _corners(roi: dict[str, float]) -> list[float]:
    return [roi["left"], roi["top"], roi["left"] + roi["width"], roi["top"] + roi["height"]]


def _found(rows: Sequence[tuple[list[float], float]]) -> Found:
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in rows], np.float32)
    return boxes[scores >= LEAST], scores[scores >= LEAST]
