"""results.json."""

import json
from pathlib import Path

import pytest

from tests.support.archives import PREFIX, chunk, mark, open_writer, terminal, threads_over, write_frames
from videofleet_api.results import RunResult, ZoneCount
from videofleet_archive.errors import ArchiveCorruptError
from videofleet_archive.results import RunSummary, results_key, summarise, write_results
from videofleet_archive.store import FolderArchive


def _summary(*documents: bytes) -> RunResult:
    summary = RunSummary()
    for document in documents:
        summary.add(json.loads(document))
    return summary.result("a-model")


@pytest.mark.acceptance("V76", "V78")
def test_tracks_are_folded_and_sorted_by_id() -> None:
    result = _summary(chunk(3, (2,)), chunk(4, (2, 1)), chunk(9, (1,)), terminal(9))
    found = [(one.track_id, one.first_frame, one.last_frame, one.frames_seen) for one in result.tracks]
    assert found == [(1, 4, 9, 2), (2, 3, 4, 2)]
    assert (result.model, result.finish_reason, result.usage.processed_frames) == ("a-model", "stop", 10)


def test_the_class_of_a_track_is_the_one_seen_with_most_confidence_in_all() -> None:
    frames = []
    for frame, (label, confidence) in enumerate([("car", 0.9), ("truck", 0.5), ("truck", 0.5)]):
        document = json.loads(chunk(frame, (1,)))
        document["delta"]["results"][0]["targets"][0] |= {"class": label, "confidence": confidence}
        frames.append(json.dumps(document).encode())
    track = _summary(*frames, terminal(2)).tracks[0]
    assert (track.class_, track.best_confidence) == ("truck", 0.9)


def test_objects_without_a_track_are_no_tracks() -> None:
    document = json.loads(chunk(0, (1,)))
    del document["delta"]["results"][0]["targets"][0]["track_id"]
    assert _summary(json.dumps(document).encode(), terminal(0)).tracks == []


def test_the_counts_of_a_run_are_those_of_its_last_frame() -> None:
    frames = []
    for frame in range(3):
        document = json.loads(chunk(frame))
        zone = {"name": "door", "inside": {"person": 1}, "entered": {"person": frame + 1}, "left": {"person": frame}}
        document["delta"]["results"][0] |= {"events": [], "zones": [zone], "lines": []}
        frames.append(json.dumps(document).encode())
    result = _summary(*frames, terminal(2))
    assert result.zones == [ZoneCount(name="door", inside={"person": 1}, entered={"person": 3}, left={"person": 2})]
    assert result.lines is None


def test_a_log_without_an_end_has_no_result() -> None:
    with pytest.raises(ArchiveCorruptError):
        _summary(chunk(0, (1,)))


async def test_the_summary_of_a_log_in_many_segments_is_stored_beside_it(tmp_path: Path) -> None:
    store = FolderArchive(tmp_path)
    async with threads_over(store) as threads:
        for epoch in (1, 2):
            writer = await open_writer(threads, epoch)
            for frame in range(10 * epoch, 10 * epoch + 5):
                await writer.append(chunk(frame, (epoch,)), mark(frame))
            await writer.close()
        last = await open_writer(threads, 3)
        await write_frames(last, range(30, 31))
        await last.finish(terminal(30), mark(30))
    write_results(store, PREFIX, "a-model")
    written = RunResult.model_validate_json((tmp_path / results_key(PREFIX)).read_bytes())
    assert [one.track_id for one in written.tracks] == [1, 2]
    assert summarise(store, PREFIX, "a-model") == written
