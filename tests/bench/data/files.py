"""Rows of files: decoded, detected, tracked and told by the worker, and by a loop of cv2, ONNX Runtime and trackers."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from tests.bench.control.rows import Row
from tests.bench.data.agreement import must_agree, shared
from tests.bench.data.loops import Ran, run_loop, told_by_loop, told_by_us
from tests.bench.data.plant import Plant, running
from tests.bench.data.setup import Setup
from tests.support.cameras import CLIP
from tests.support.worker_client import file_job
from videofleet_api.protocol import JobState
from videofleet_archive import log

OUTSIDE = {"serial": "cv2 + ONNX Runtime + trackers, serial", "threaded": "the same, threaded"}
ENOUGH_OF_A_FILE = 0.9
"""Our boxes are told in whole pixels, which moves a few below an IoU of 0.9."""

HELD_BACK = (
    "two fifths are decoding, scaling and copying in the decoder's process, as much the worker's loop, of which the "
    "tracker is a fifth; the rest are reading the model's answer, syncing the log twice a second, which weighs more "
    "the slower the machine is, and the snapshot: the loop does nothing of that; a run of the model leaves nothing "
    "else in the processor's caches, so that what follows costs three times what it does by itself or more; three "
    "answers told together instead of two gained nothing (docs/decisions/0064)"
)


def file_rows(setup: Setup) -> list[Row]:
    """Processor time outside inference, and frames a second, in turn."""
    return asyncio.run(_measured(setup))


async def _measured(setup: Setup) -> list[Row]:
    ran: dict[str, list[Ran]] = {how: [] for how in ("ours", *OUTSIDE, "raw")}
    results = setup.folder / "loop.jsonl"
    alike = 0.0
    async with running(setup.folder / "files", media=str(CLIP.parent)) as plant:
        for number in range(setup.rounds):
            one, data = await run_job(plant, f"file-{number}", setup.frames)
            ran["ours"].append(one)
            for how in (*OUTSIDE, "raw"):
                ran[how].append(await asyncio.to_thread(run_loop, setup, how, str(CLIP), setup.frames, results))
                if how == "serial" and number == 0:
                    told = told_by_us([json.loads(document) for document in log.documents(data)])
                    alike = shared(told, told_by_loop(results))
    return _rows(setup, ran, must_agree(alike, "files", ENOUGH_OF_A_FILE))


def _rows(setup: Setup, ran: dict[str, list[Ran]], alike: str) -> list[Row]:
    ours = ran["ours"]
    about = f"{setup.frames} frames of 768x576; {alike}; {HELD_BACK}"
    cpu = "file: decode, detect, track; outside inference"
    rate = "file: decode, detect, track; frames a second"
    outside = [one.outside for one in ours]
    rates = [one.rate for one in ours]
    return [
        *(
            Row(cpu, name, outside, [one.outside for one in ran[how]], 0.4, "ms CPU a frame", remark=about)
            for how, name in OUTSIDE.items()
        ),
        Row(rate, OUTSIDE["threaded"], rates, [one.rate for one in ran["threaded"]], 1.1, "1/s", True, about),
        Row(
            rate, "ONNX Runtime alone, tensors there before", rates, [one.rate for one in ran["raw"]], 0.85, "1/s", True
        ),
    ]


async def run_job(plant: Plant, uid: str, frames: int, clip: Path = CLIP) -> tuple[Ran, bytes]:
    """One job over so much of a clip, from its assignment to its end; and the log."""
    began, spent, inferred = time.monotonic(), plant.cpu_seconds(), plant.inference_seconds()
    await plant.client.assign(file_job(f"file://{clip}", uid, maxFrames=frames))
    await plant.client.until(uid, {JobState.ENDED}, seconds=600)
    seconds, cpu = time.monotonic() - began, plant.cpu_seconds() - spent
    ran = Ran(frames, seconds, cpu, plant.inference_seconds() - inferred)
    data = await plant.client.log(uid, "?offset=oldest")
    await plant.client.assign()
    return ran, data
