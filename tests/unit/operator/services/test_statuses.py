"""Writing the status of VideoJobs: one write at a time, and no storm when they are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from tests.support.domain import assigned, job
from tests.unit.kube.fakeapi import FakeApi, refusal
from tests.unit.kube.helpers import ManualClock, eventually
from videofleet_api.codes import OutputHealth, Reason, SourceHealth
from videofleet_api.phases import Phase
from videofleet_api.protocol import Delivered, JobState
from videofleet_kube import ApiSession
from videofleet_kube.events import EventRecorder
from videofleet_kube.writes import WriteQueue
from videofleet_operator.domain.model import Record
from videofleet_operator.domain.reports import Counters, Report
from videofleet_operator.metrics import Metrics
from videofleet_operator.services.announcements import Announcer
from videofleet_operator.services.caches import Caches
from videofleet_operator.services.gather import KnownJob
from videofleet_operator.services.statistics import StatisticsRefresher
from videofleet_operator.services.statuses import StatusWriter

COLLECTION = "apis/videofleet.io/v1alpha1/videojobs"
SPEC = {"source": {"url": "rtsp://camera/1"}, "analytics": [{"steps": [{"model": "detect"}]}]}
NOW = 1_800_000_000.0


class Made:
    """A writer whose cache holds one job."""

    def __init__(self, api: FakeApi, session: ApiSession) -> None:
        self.api = api
        self.clock = ManualClock()
        self.changes = 0
        self.leads = True
        self.caches = Caches.of(session, None, lambda: None)
        self.queue = WriteQueue(session, lambda: self.leads)
        self.recorder = EventRecorder(session, "test", "one")
        self.metrics = Metrics()
        self.writer = StatusWriter(
            self.queue, self.caches, Announcer(self.recorder), self.metrics, self._changed, self.clock
        )
        created = api.put(COLLECTION, "video", "camera", spec=SPEC)
        created["metadata"]["generation"] = 1
        self.caches.jobs.feed(created)

    def _changed(self) -> None:
        self.changes += 1

    @property
    def known(self) -> KnownJob:
        """The job as the cache has it."""
        (source,) = self.caches.jobs.cache.values()
        meta = source.meta
        made = replace(job(meta.uid, source.record), namespace="video", name=meta.name)
        return KnownJob(source, (), made, lambda _: None)

    @property
    def written(self) -> list[str]:
        """Phases in the order in which they were sent."""
        phases = [_phase_in(body) for method, path, body in self.api.requests if method == "PATCH"]
        return [phase for phase in phases if phase is not None]

    @property
    def history(self) -> list[dict[str, Any]]:
        """The history as the server has it."""
        return list(self.api.objects[COLLECTION, "video", "camera"]["status"]["history"])

    def record(self, phase: Phase, reason: Reason = Reason.RUNNING) -> Record:
        return replace(
            self.known.job.record,
            phase=phase,
            reason=reason,
            observed_generation=1,
            since=NOW,
            epoch=1,
            run=1,
            worker=assigned(),
            transitions=self.known.job.record.transitions + 1,
        )

    def write(self, phase: Phase, reason: Reason = Reason.RUNNING) -> None:
        self.writer.write(self.known, self.record(phase, reason), None, NOW)

    def refuse(self, response: Callable[[], web.StreamResponse]) -> None:
        self.api.fail("PATCH", response)


def _phase_in(body: Any) -> str | None:
    if isinstance(body, dict):
        return body["status"].get("phase")
    return next((each["value"] for each in body if each["path"] == "/status/phase"), None)


@pytest.fixture
async def made(api: FakeApi, session: ApiSession) -> AsyncIterator[Made]:
    writer = Made(api, session)
    task = asyncio.create_task(writer.queue.run())
    yield writer
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_is_being_written_counts_until_it_is_acknowledged(made: Made) -> None:
    uid = made.known.job.uid
    made.write(Phase.STARTING, Reason.ASSIGNED)
    assert made.writer.assumed[uid].phase is Phase.STARTING
    assert made.known.job.record.phase is Phase.AWAITING, "workers are told of what is acknowledged alone"
    await eventually(lambda: not made.writer.assumed)
    assert made.known.job.record.phase is Phase.STARTING
    assert made.changes == 1
    sample = {"to": "STARTING", "reason": "Assigned"}
    assert made.metrics.registry.get_sample_value("videofleet_transitions_total", sample) == 1


async def test_no_phase_is_swallowed_by_the_next_one(made: Made) -> None:
    made.write(Phase.INPROGRESS)
    made.write(Phase.INTERRUPTED, Reason.SOURCE_NETWORK)
    await eventually(lambda: not made.writer.assumed)
    assert made.written == ["INPROGRESS"]
    assert made.changes == 1, "the next plan has the other one again"
    made.write(Phase.INTERRUPTED, Reason.SOURCE_NETWORK)
    await eventually(lambda: made.written == ["INPROGRESS", "INTERRUPTED"])


async def test_a_refused_write_is_held_back_and_asks_for_no_plan(made: Made) -> None:
    made.refuse(lambda: refusal(422, "Invalid", "status.message: too long"))
    made.write(Phase.INPROGRESS)
    await eventually(lambda: not made.writer.assumed)
    assert made.changes == 0
    made.write(Phase.INPROGRESS)
    assert not made.writer.assumed, "too soon"
    made.clock.now += 2
    made.write(Phase.INPROGRESS)
    await eventually(lambda: made.known.job.record.phase is Phase.INPROGRESS)
    assert made.changes == 1


async def test_a_fenced_write_is_held_back_too(made: Made) -> None:
    made.leads = False
    made.write(Phase.INPROGRESS)
    await eventually(lambda: not made.writer.assumed)
    assert (made.written, made.changes) == ([], 0)


async def test_a_conflict_waits_for_the_cache_to_move_on(made: Made) -> None:
    stale = made.known
    made.api.put(COLLECTION, "video", "camera", metadata={"labels": {"a": "b"}})
    made.writer.write(stale, made.record(Phase.INPROGRESS), None, NOW)
    await eventually(lambda: not made.writer.assumed)
    assert made.changes == 0, "the watch will bring what is new"
    made.caches.jobs.feed(made.api.objects[COLLECTION, "video", "camera"])
    made.writer.write(stale, made.record(Phase.INPROGRESS), None, NOW)
    await eventually(lambda: made.changes == 1)
    made.write(Phase.INPROGRESS)
    await eventually(lambda: made.known.job.record.phase is Phase.INPROGRESS)


async def test_an_event_is_told_once_it_is_written(made: Made) -> None:
    made.refuse(lambda: refusal(500, "InternalError"))
    made.write(Phase.INPROGRESS)
    await eventually(lambda: not made.writer.assumed)
    assert made.recorder.waiting == 0
    made.clock.now += 2
    made.write(Phase.INPROGRESS)
    await eventually(lambda: made.recorder.waiting == 1)


async def test_counters_are_written_seldom_and_not_while_a_phase_is(made: Made) -> None:
    report = Report(made.known.job.uid, 1, JobState.RUNNING, progress=Counters(decoded_frames=50, processed_fps=25.0))
    refresher = StatisticsRefresher(
        lambda: {made.known.job.uid: made.known},
        lambda *_: report,
        made.writer,
        lambda: True,
        wall=lambda: NOW,
        clock=made.clock,
    )
    made.write(Phase.INPROGRESS)
    assert not made.writer.refresh(made.known, report, NOW), "a write is under way"
    await eventually(lambda: not made.writer.assumed)
    refresher.turn()
    await made.queue.idle()
    assert "statistics" not in made.known.source.status, "just written"
    made.clock.now += 30
    refresher.turn()
    await eventually(lambda: made.known.source.status.get("statistics", {}).get("decodedFrames") == 50)
    sent = len(made.api.requests)
    made.clock.now += 30
    refresher.turn()
    await made.queue.idle()
    assert len(made.api.requests) == sent, "nothing moved"


async def test_how_a_source_is_is_written_by_itself_and_told(made: Made) -> None:
    uid, told = made.known.job.uid, {"health": SourceHealth.HEALTHY, "health_message": "well"}
    refresher = StatisticsRefresher(
        lambda: {uid: made.known},
        lambda *_: Report(uid, 1, JobState.RUNNING, **told),
        made.writer,
        lambda: True,
        wall=lambda: NOW,
        clock=made.clock,
    )

    def healthy() -> tuple[str, str]:
        (found,) = (each for each in made.known.source.status["conditions"] if each["type"] == "SourceHealthy")
        return found["status"], found["reason"]

    made.writer.write(made.known, made.record(Phase.INPROGRESS), Report(uid, 1, JobState.RUNNING, **told), NOW)
    await eventually(lambda: not made.writer.assumed)
    assert (healthy(), made.recorder.waiting) == (("True", "Healthy"), 1), "along with the phase, and no news"
    told.update(health=SourceHealth.FROZEN, health_message="the picture stays")
    refresher.turn()
    await made.queue.idle()
    assert healthy() == ("True", "Healthy"), "just written"
    for health in (SourceHealth.FROZEN, SourceHealth.HEALTHY):
        told.update(health=health)
        made.clock.now += 30
        refresher.turn()
        await eventually(lambda health=health: healthy()[1] == health)
    assert made.recorder.waiting == 3
    assert made.written == ["INPROGRESS"], "no phase was written for it"
    sent = len(made.api.requests)
    made.clock.now += 30
    refresher.turn()
    await made.queue.idle()
    assert len(made.api.requests) == sent, "nothing moved"


async def test_each_change_of_phase_is_in_the_history_that_no_cache_keeps(made: Made) -> None:
    made.write(Phase.STARTING, Reason.ASSIGNED)
    await eventually(lambda: made.known.source.history == 1)
    sent = len(made.api.requests)
    made.write(Phase.INPROGRESS)
    await eventually(lambda: made.known.source.history == 2)
    assert len(made.api.requests) == sent + 1, "in the one write that changes the phase"
    told = [(each["sequence"], each["from"], each["to"], each["reason"]) for each in made.history]
    assert told == [(1, "AWAITING", "STARTING", "Assigned"), (2, "STARTING", "INPROGRESS", "Running")]
    assert made.history[0]["worker"] == "w1"
    assert "history" not in made.known.source.status


async def test_the_history_keeps_the_last_changes_only(made: Made) -> None:
    phases = [Phase.STARTING, Phase.DISCONNECTED] * 20
    for number, phase in enumerate(phases, 1):
        made.write(phase, Reason.ASSIGNED)
        await eventually(lambda number=number: made.known.job.record.transitions == number)
    assert [each["sequence"] for each in made.history] == list(range(9, 41))


async def test_a_history_that_was_planned_on_an_older_version_is_not_written(made: Made) -> None:
    made.write(Phase.STARTING, Reason.ASSIGNED)
    await eventually(lambda: made.known.source.history == 1)
    stale, record = made.known, made.record(Phase.INPROGRESS)
    made.api.put(COLLECTION, "video", "camera", metadata={"labels": {"a": "b"}})
    made.writer.write(stale, record, None, NOW)
    await eventually(lambda: not made.writer.assumed)
    assert [each["to"] for each in made.history] == ["STARTING"]


async def test_a_message_in_the_history_is_cut(made: Made) -> None:
    record = replace(made.record(Phase.STARTING), message="x" * 1000)
    made.writer.write(made.known, record, None, NOW)
    await eventually(lambda: made.known.source.history == 1)
    (entry,) = made.history
    assert (len(entry["message"]), entry["message"][-1]) == (256, "…")


async def test_other_words_for_the_same_phase_are_no_history(made: Made) -> None:
    made.write(Phase.STARTING, Reason.ASSIGNED)
    await eventually(lambda: made.known.source.history == 1)
    made.writer.write(made.known, replace(made.known.job.record, reason=Reason.PREPARING), None, NOW)
    await eventually(lambda: made.known.job.record.reason is Reason.PREPARING)
    assert len(made.history) == 1


async def test_jobs_that_are_gone_are_forgotten(made: Made) -> None:
    made.api.stalled = True
    made.write(Phase.INPROGRESS)
    made.writer.keep({})
    assert not made.writer.assumed
    made.api.stalled = False


@pytest.mark.acceptance("F23", "F24")
async def test_best_shots_that_a_router_takes_after_the_end_are_posted(made: Made) -> None:
    counted = Counters(processed_frames=9, objects_posted=3, objects_not_posted=5)
    told = Report(made.known.job.uid, 1, JobState.RUNNING, progress=counted)
    made.writer.write(made.known, made.record(Phase.INPROGRESS), told, NOW)
    await eventually(lambda: not made.writer.assumed)
    made.writer.write(made.known, made.record(Phase.COMPLETED), None, NOW)
    await eventually(lambda: not made.writer.assumed)

    async def posted(in_all: int | None) -> tuple[int, int]:
        told = Delivered(health=OutputHealth.WAITING, message="away", objects_posted=in_all)
        assert made.writer.refresh_outputs(made.known, told, NOW)
        await made.queue.idle()
        counted = made.known.source.status["statistics"]
        return counted["objectsPosted"], counted["objectsNotPosted"]

    assert await posted(None) == (3, 5), "a worker of another version"
    assert await posted(2) == (3, 5)
    assert await posted(6) == await posted(6) == (6, 2)
    assert await posted(9) == (8, 0), "no more than there were"


async def test_how_receivers_are_of_a_job_that_no_worker_has_is_written_once(made: Made) -> None:
    uid, said = made.known.job.uid, Delivered(health=OutputHealth.WAITING, message="webhook-0: it answered 503")

    def with_webhook() -> KnownJob:
        known = made.known
        outputs = {"webhooks": [{"url": "https://hooks.example/"}]}
        return replace(known, job=job(uid, known.source.record, namespace="video", outputs=outputs))

    def condition() -> tuple[str, str, str]:
        (found,) = (each for each in made.known.source.status["conditions"] if each["type"] == "OutputsDelivered")
        return found["status"], found["reason"], found["message"]

    refresher = StatisticsRefresher(
        lambda: {uid: with_webhook()},
        lambda *_: None,
        made.writer,
        lambda: True,
        wall=lambda: NOW,
        clock=made.clock,
        delivered=lambda of: said if of == uid else None,
    )
    made.writer.write(with_webhook(), made.record(Phase.COMPLETED), None, NOW)
    assert not made.writer.refresh_outputs(with_webhook(), said, NOW), "a write is under way"
    await eventually(lambda: not made.writer.assumed)
    made.clock.now += 30
    refresher.turn()
    await made.queue.idle()
    assert condition() == ("False", "Waiting", "webhook-0: it answered 503")
    said = Delivered(health=OutputHealth.DELIVERED, message="receivers take what they are sent")
    refresher.turn()
    await made.queue.idle()
    assert condition()[0] == "False", "just written"
    made.clock.now += 30
    refresher.turn()
    await made.queue.idle()
    assert condition()[:2] == ("True", "Delivered")
    assert made.written == ["COMPLETED"], "no phase was written for it"
    sent = len(made.api.requests)
    made.clock.now += 30
    refresher.turn()
    await made.queue.idle()
    assert len(made.api.requests) == sent, "it is said"
