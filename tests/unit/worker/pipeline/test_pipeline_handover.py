"""Results of an epoch that takes over from another worker: kept back until the log is its own, none told twice."""

from pathlib import Path

import pytest

from tests.support.archives import CountedCalls
from tests.support.epochs import CAMERA, FILE, Stage
from videofleet_archive.errors import FencedError
from videofleet_archive.store import FolderArchive
from videofleet_worker.pipeline.continuation import Counts
from videofleet_worker.sources.events import SourceInfo


@pytest.fixture
def store(tmp_path: Path) -> FolderArchive:
    return FolderArchive(tmp_path / "archive")


async def test_what_the_former_worker_had_not_sealed_is_among_what_was_kept_back(stage: Stage) -> None:
    former = await stage.epoch(1, CAMERA)
    await former.own()
    await former.frames(range(30))
    await former.run.close()
    second = await stage.epoch(2, CAMERA)
    await second.own()
    await second.frames(range(30, 40))
    third = await stage.epoch(3, CAMERA)
    await third.frames(range(25, 45))
    await third.own()
    await third.frames(range(45, 50))
    with pytest.raises(FencedError):
        await second.run.close()
    await third.run.close()
    # The second one had sealed nothing: its frames from 30 on are told by the third.
    assert stage.told() == list(range(50))


async def test_ids_numbers_and_times_go_on(stage: Stage) -> None:
    former = await stage.epoch(1, CAMERA)
    await former.own()
    await former.frames(range(10))
    await former.run.close()
    taker = await stage.epoch(2, CAMERA)
    await taker.frames(range(5, 15))
    await taker.own()
    await taker.run.close()
    chunks = stage.chunks()
    infos = [one["stream_info"] for one in chunks]
    for field in ("frame_index", "pts", "capture_time", "decoded_frames"):
        values = [info[field] for info in infos]
        assert values == sorted(values), field
    assert len({info["frame_index"] for info in infos}) == len(infos)
    ids = [
        {one["track_id"] for one in chunk["delta"]["results"][0]["targets"] if "track_id" in one} for chunk in chunks
    ]
    assert max(set().union(*ids[:10])) < min(set().union(*ids[10:]))


@pytest.mark.parametrize("source", [CAMERA, FILE], ids=["camera", "file"])
async def test_who_stands_in_a_zone_is_counted_once_over_all_epochs(stage: Stage, source: SourceInfo) -> None:
    for number in (1, 2, 3):
        epoch = await stage.epoch(number, source)
        await epoch.frames(range(10 * number - 10, 10 * number - 5))
        await epoch.own()
        await epoch.frames(range(10 * number - 5, 10 * number))
        await epoch.run.close()
    zones = [chunk["delta"]["results"][0]["zones"][0] for chunk in stage.chunks()]
    assert len(zones) == 30
    assert {tuple(zone["entered"].items()) for zone in zones} == {(("person", 1),)}
    assert {tuple(zone["left"].items()) for zone in zones} == {()}


async def test_until_then_the_former_worker_writes_on_and_nothing_is_written_here(stage: Stage) -> None:
    former = await stage.epoch(1, CAMERA)
    await former.own()
    taker = await stage.epoch(2, CAMERA)
    await taker.frames(range(5))
    await former.frames(range(5))
    await former.run.close()
    await taker.run.close()
    assert stage.told() == list(range(5))


async def test_a_file_is_told_once_where_both_have_analysed_it(stage: Stage) -> None:
    former = await stage.epoch(1, FILE)
    await former.own()
    await former.frames(range(10))
    taker = await stage.epoch(2, FILE)
    await former.run.close()
    await taker.own()
    await taker.frames(range(20))
    await taker.run.close()
    assert stage.told() == list(range(20))


async def test_a_run_that_was_finished_meanwhile_is_over(stage: Stage) -> None:
    former = await stage.epoch(1, FILE)
    await former.own()
    await former.frames(range(3))
    taker = await stage.epoch(2, FILE)
    await former.run.finish("stop", Counts(3, 0, 300))
    ending = await taker.run.own(2, "worker-2", CountedCalls(), beside=False)
    assert ending is not None
    assert (ending.reason, ending.usage.processed_frames) == ("stop", 3)
    await taker.run.close()
