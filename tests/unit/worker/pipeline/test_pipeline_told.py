"""Logs that tell events, over epochs: who goes on knows where the stream was, who was there and what was counted."""

from dataclasses import replace

import pytest

from tests.support.archives import PREFIX, FaultyStore
from tests.support.epochs import CAMERA, FILE, SEALS_AT_THE_END, Stage
from videofleet_api.outputs import ArchiveDetail
from videofleet_api.results import StreamInfo
from videofleet_archive.acquire import look
from videofleet_archive.check import check_log
from videofleet_archive.tracks import filed_hours, read_tracks
from videofleet_worker.pipeline.continuation import Counts
from videofleet_worker.pipeline.told import Happenings, Seen
from videofleet_worker.sources.events import SourceInfo

TRACKS = replace(SEALS_AT_THE_END, detail=ArchiveDetail.TRACKS)


@pytest.mark.parametrize("source", [CAMERA, FILE], ids=["camera", "file"])
async def test_the_next_epoch_goes_on_where_the_one_before_has_ended(
    stage: Stage, store: FaultyStore, source: SourceInfo
) -> None:
    first = await stage.epoch(1, source, TRACKS)
    await first.own()
    await first.frames(range(35))
    await first.run.close()
    assert stage.told() == [0, 34], "the first one, in which somebody is there, and the last one"
    resume = look(store, PREFIX).resume
    assert resume is not None
    assert (resume.sidecar.processed_frames, resume.sidecar.detail) == (35, ArchiveDetail.TRACKS)
    assert [(one.track_id, one.frames_seen, one.zones) for one in resume.sidecar.tracks] == [(1, 35, ["below"])]

    second = await stage.epoch(2, source, TRACKS)
    await second.own()
    await second.frames(range(35, 150))
    await second.run.finish("stop", Counts(150, 0, 15_000))
    assert stage.told() == [0, 34, 35, 135, 149, 149], "and one in ten seconds"
    ends = list(read_tracks(store, PREFIX) or ())
    assert [(one.track_id, one.interrupted, one.frames_seen) for one in ends] == [(1, True, 35), (2, False, 115)]
    zones = [zone for chunk in stage.chunks()[:-1] for zone in chunk["delta"]["results"][0]["zones"]]
    assert {zone["entered"]["person"] for zone in zones} == {1}, "nobody is counted again"
    assert check_log(store, PREFIX) == []
    assert bool(filed_hours(store, PREFIX)) is source.live


def test_a_frame_of_which_receivers_are_told_is_in_the_log() -> None:
    teller = Happenings((), lambda track_id: False, frozenset)
    facts = {"total_frames": None, "decoded_frames": 1, "dropped_frames": 0, "fps": 10.0, "elapsed_ms": 0}
    infos = [StreamInfo(frame_index=at, pts=at / 10, capture_time=1e9 + at / 10, **facts) for at in range(3)]
    told = [teller.see(Seen(info, [], (64, 48), {}), wanted=info.frame_index == 2) for info in infos]
    assert told == [True, False, True]
    assert teller.document() == {"index": 0, "targets": [], "events": []}
    assert teller.pending() is None
