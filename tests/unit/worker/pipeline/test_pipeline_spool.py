"""A stream whose results the archive does not take: analysis and live views go on, nothing is encoded for nothing."""

import pytest

from tests.support.archives import Away, FaultyStore, becomes, stored_log
from tests.support.epochs import CAMERA, Stage
from videofleet_archive.writer import SealPolicy
from videofleet_worker.pipeline import analytics

SMALL = SealPolicy(seconds=0, spool_bytes=2000, wait_when_full=False)


async def test_what_there_is_no_room_for_is_not_encoded_but_analysed_and_shown(
    stage: Stage, store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded, encode = [], analytics.chunk

    def counted(run_id: str, info: analytics.StreamInfo, *rest: object) -> bytes:
        encoded.append(info.frame_index)
        return encode(run_id, info, *rest)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(analytics, "chunk", counted)
    camera = await stage.epoch(1, CAMERA, SMALL)
    await camera.own()
    away = store.fault = Away()
    with camera.run.pictures.viewers.enter() as viewer:
        await camera.frames(range(40))
        assert await anext(viewer.pictures())
    assert camera.run.processed == 40
    lost = camera.lost
    assert 0 < lost < 40
    assert encoded == list(range(40 - lost))
    away.back()
    await becomes(lambda: len(stored_log(store.real)) > 1000, "the store takes results again")
    await camera.frames(range(40, 41))
    await camera.run.close()
    assert stage.told() == [*range(40 - lost), 40]
    assert stored_log(store.real).count(f": gap frames={lost}\n".encode()) == 1
    # What was not told was counted all the same.
    assert {
        zone["entered"]["person"] for chunk in stage.chunks() for zone in chunk["delta"]["results"][0]["zones"]
    } == {1}
