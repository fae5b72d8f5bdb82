"""How results of a job are sealed and kept."""

from typing import Any

import pytest

from videofleet_api.protocol import Entry, JobSpec
from videofleet_archive.store import ObjectArchive
from videofleet_worker.jobs.assignments import Job
from videofleet_worker.pipeline.ownership import overlap_seconds
from videofleet_worker.pipeline.storage import seal_policy

DAY = 86400.0


def _job(*, leaves: bool = False, **fields: Any) -> Job:
    spec = {"source": {"url": "rtsp://camera/1"}, "analytics": [{"name": "main", "steps": [{"model": "detect"}]}]}
    entry = Entry(uid="job-1", namespace="default", name="camera", run=1, epoch=1, digest="d", leaves=leaves)
    return Job(entry, JobSpec.model_validate(spec | fields))


@pytest.mark.parametrize(
    ("fields", "live", "seconds", "size"),
    [
        pytest.param({}, True, 7 * DAY, 256 * 2**20, id="a camera"),
        pytest.param({"archiveRetention": DAY}, True, DAY, 256 * 2**20, id="a camera for a day"),
        pytest.param({"archiveMaxBytes": 2**20}, True, 7 * DAY, 2**20, id="a camera on little room"),
        pytest.param({}, False, None, None, id="a file"),
        pytest.param({"archiveRetention": DAY}, False, DAY, None, id="a file for a day"),
        pytest.param({"archiveMaxBytes": 2**20}, False, None, None, id="a file is not cut"),
    ],
)
def test_what_is_kept(fields: dict[str, Any], live: bool, seconds: float | None, size: int | None) -> None:
    policy = seal_policy(_job(**fields), ObjectArchive.in_memory(), live=live)
    assert (policy.keep_seconds, policy.keep_bytes) == (seconds, size)
    assert policy.wait_when_full is not live, "only what comes again can wait"
    assert policy.merges


@pytest.mark.parametrize(
    ("fields", "live", "detail"),
    [
        pytest.param({}, False, "frames", id="a file"),
        pytest.param({}, True, "tracks", id="a camera"),
        pytest.param({"archiveDetail": "frames"}, True, "frames", id="every frame of a camera"),
        pytest.param({"archiveDetail": "events"}, True, "events", id="events of a camera"),
        pytest.param({"archiveDetail": "tracks"}, False, "tracks", id="no frames of a file"),
        pytest.param({"archiveEnabled": False}, True, "frames", id="what is not kept is told in full"),
    ],
)
def test_what_is_told(fields: dict[str, Any], live: bool, detail: str) -> None:
    assert seal_policy(_job(**fields), ObjectArchive.in_memory(), live=live).detail == detail


def test_what_nobody_keeps_is_not_merged() -> None:
    policy = seal_policy(_job(archiveEnabled=False), ObjectArchive.in_memory(), live=True)
    assert not policy.merges


def test_what_nobody_keeps_is_read_at_once() -> None:
    policy = seal_policy(_job(archiveEnabled=False), ObjectArchive.in_memory(), live=True)
    assert policy.seconds == 0.0
    assert policy.unattended_seconds


def test_an_epoch_that_takes_over_keeps_back_what_the_one_before_may_not_have_sealed() -> None:
    store = ObjectArchive.in_memory()
    policy = seal_policy(_job(), store, live=True)
    assert policy.unattended_seconds is not None
    assert overlap_seconds(store) > policy.unattended_seconds


def test_who_is_about_to_be_taken_over_seals_as_if_somebody_read_along() -> None:
    store = ObjectArchive.in_memory()
    before, then = (seal_policy(_job(leaves=leaves), store, live=True) for leaves in (False, True))
    assert (before.unattended_seconds, then.unattended_seconds) == (store.seals.unattended, None)
    assert then.seconds == before.seconds == store.seals.attended
