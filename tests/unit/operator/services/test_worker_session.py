"""The operator's line to one worker, over real mutual TLS."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import pytest

from tests.support.simulated_archive import SimulatedArchive
from tests.support.simulated_worker import Scripts, SimulatedWorker, end, first_frame
from tests.unit.kube.helpers import eventually
from tests.unit.operator.services.conftest import NOW, Payload, StartWorker
from videofleet_api.finalize import Finalize, RunEnd
from videofleet_api.protocol import AssignmentSet, JobProgress, JobSource, JobSpec, JobState
from videofleet_api.steps import Analytics, Step
from videofleet_operator.services import pki, worker_session
from videofleet_operator.services.authority import client_context
from videofleet_operator.services.wanted import Wanted
from videofleet_operator.services.worker_session import Address, WorkerSession

SPEC = JobSpec(source=JobSource(url="rtsp://camera/1"), analytics=[Analytics(steps=[Step(model="detect")])])
QUIET = Scripts(usual=[])


def item(worker: SimulatedWorker, name: str = "camera", epoch: int = 1, *, spec: JobSpec | None = SPEC) -> Wanted:
    return Wanted("video", name, 1, epoch, "d", "", None if spec is None else Payload(spec), worker.instance)


def of(*items: Wanted) -> dict[str, Wanted]:
    return {f"uid-{each.name}": each for each in items}


@dataclass
class Operator:
    """The operator's side: opens sessions, leads in a term or not."""

    http: aiohttp.ClientSession
    authority: pki.KeyPair
    term: int | None = 1
    changes: int = 0
    asking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    sessions: list[WorkerSession] = field(default_factory=list)

    def dial(self, worker: SimulatedWorker, pod: str = "pool-0-0") -> WorkerSession:
        address = Address("video", pod, "pod-uid", worker.host, worker.port)
        tls = client_context(self.authority, NOW)
        opened = WorkerSession(
            address,
            self.http,
            tls,
            term=lambda: self.term,
            changed=self._changed,
            clock=time.monotonic,
            asking=self.asking,
            fleet="fleet-1",
        )
        self.sessions.append(opened)
        return opened

    async def connect(self, worker: SimulatedWorker) -> WorkerSession:
        session = self.dial(worker)
        await eventually(lambda: session.state.connected)
        return session

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
async def operator(http: aiohttp.ClientSession, authority: pki.KeyPair) -> AsyncIterator[Operator]:
    made = Operator(http, authority)
    yield made
    for session in made.sessions:
        await session.close()


def report_of(session: WorkerSession, state: JobState, name: str = "camera") -> Callable[[], bool]:
    return lambda: (found := session.state.reports.get(f"uid-{name}")) is not None and found.state is state


async def test_info_and_inventory_make_it_connected(operator: Operator, start_worker: StartWorker) -> None:
    worker = await start_worker(capacity=9)
    session = await operator.connect(worker)
    info = session.state.info
    assert info is not None
    assert (info.id, info.instance, info.capacity, info.provider) == ("pool-0-0", worker.instance, 9, "cpu")
    assert session.state.reports == {}
    assert operator.changes == 1


async def test_a_job_is_given_out_and_its_life_is_heard(operator: Operator, start_worker: StartWorker) -> None:
    worker = await start_worker(scripts=Scripts(usual=[first_frame(), end()]))
    session = await operator.connect(worker)
    before = operator.changes
    session.want(of(item(worker)))
    await eventually(report_of(session, JobState.ENDED))
    report = session.state.reports["uid-camera"]
    assert (report.epoch, report.first_frame, report.progress.processed_frames) == (1, True, 100)
    assert operator.changes - before == 3, "preparing, first frame, end"
    assert worker.spec("camera").spec == SPEC
    session.want({})
    await eventually(lambda: not worker.assigned)
    await eventually(lambda: not session.state.reports)


async def test_counters_alone_ask_for_no_plan(operator: Operator, start_worker: StartWorker) -> None:
    worker = await start_worker(scripts=Scripts(usual=[first_frame()]))
    session = await operator.connect(worker)
    session.want(of(item(worker)))
    await eventually(report_of(session, JobState.RUNNING))
    before = operator.changes
    for count in range(3):
        worker.job("camera").progress(JobProgress(decoded_frames=count))
    await eventually(lambda: session.state.reports["uid-camera"].progress.decoded_frames == 2)
    assert operator.changes == before


async def test_the_same_set_is_sent_once_and_specs_once(operator: Operator, start_worker: StartWorker) -> None:
    worker = await start_worker(scripts=QUIET)
    session = await operator.connect(worker)
    session.want(of(item(worker)))
    await eventually(lambda: worker.assigned)
    sent = len(worker.sets)
    session.want(of(item(worker)))
    session.want(of(item(worker), item(worker, "second")))
    await eventually(lambda: len(worker.assigned) == 2)
    assert len(worker.sets) == sent + 1
    assert {entry.name: entry.spec is not None for entry in worker.sets[-1].entries} == {
        "camera": False,
        "second": True,
    }
    assert [(each.term, each.number) for each in worker.sets] == [(1, number + 1) for number in range(len(worker.sets))]


async def test_a_new_epoch_brings_its_spec(operator: Operator, start_worker: StartWorker) -> None:
    worker = await start_worker(scripts=QUIET)
    session = await operator.connect(worker)
    session.want(of(item(worker)))
    await eventually(lambda: worker.assigned)
    session.want(of(item(worker, epoch=2)))
    await eventually(lambda: worker.assigned["camera"].epoch == 2)
    assert worker.scripts.seen["camera"][-2:] == [1, 2]


async def test_a_spec_that_is_missing_at_first_is_sent_once_it_is_there(
    operator: Operator, start_worker: StartWorker
) -> None:
    """A new leader that has not read the job's Secret yet."""
    worker = await start_worker(scripts=QUIET)
    session = await operator.connect(worker)
    session.want(of(item(worker, spec=None)))
    await eventually(lambda: len(worker.sets) >= 2)
    assert not worker.assigned, "the worker needs what could not be built"
    session.want(of(item(worker)))
    await eventually(lambda: worker.assigned)


async def test_what_changes_while_it_is_sent_is_sent_once_it_has_been_gathered_anew(
    operator: Operator, start_worker: StartWorker
) -> None:
    """Its Secret was read again, and what the job is given is as it was after all."""
    worker = await start_worker(scripts=QUIET)
    session = await operator.connect(worker)
    wanted = item(worker)
    session.want(of(replace(wanted, given=Payload(None))))
    await eventually(lambda: len(worker.sets) >= 2)
    assert not worker.assigned
    session.want(of(wanted))
    await eventually(lambda: worker.assigned)


async def test_a_worker_that_has_the_job_keeps_it_without_a_spec(operator: Operator, start_worker: StartWorker) -> None:
    worker = await start_worker(scripts=QUIET)
    first = await operator.connect(worker)
    first.want(of(item(worker)))
    await eventually(lambda: worker.assigned)
    await first.close()
    operator.term = 2
    second = await operator.connect(worker)
    second.want(of(item(worker, spec=None)))
    await eventually(lambda: worker.sets[-1].term == 2)
    await eventually(lambda: report_of(second, JobState.PREPARING)())
    assert worker.scripts.seen["camera"][-1:] == [1]
    assert len(worker.assigned) == 1


async def test_what_is_to_be_finalized_goes_along_until_it_is_done(
    operator: Operator, start_worker: StartWorker, tmp_path: Path
) -> None:
    archive = SimulatedArchive(tmp_path)
    worker = await start_worker(scripts=QUIET, archive=archive)
    session = await operator.connect(worker)
    wanted = Finalize(key="k", uid="gone", namespace="video", ends=[RunEnd(run=1, reason="cancelled")])
    session.want(of(item(worker)), (wanted,))
    await eventually(lambda: session.state.finalized == {"k": None})
    assert (worker.sets[-1].finalize, len(worker.sets[-1].entries)) == ([wanted], 1)
    sent = len(worker.sets)
    session.want(of(item(worker)), (wanted,))
    session.want(of(item(worker)), ())
    await eventually(lambda: not worker.sets[-1].finalize)
    assert len(worker.sets) == sent + 1
    await eventually(lambda: not session.state.finalized)
    notes = await session.notes()
    assert notes is not None
    assert [each.run for each in notes.runs] == [1], "the job that it was given is noted"
    await session.close()
    await worker.stop()
    archive.close()
    assert await session.notes() is None


async def test_a_higher_term_of_the_worker_is_exceeded(operator: Operator, start_worker: StartWorker) -> None:
    worker = await start_worker(scripts=QUIET)
    await _put(operator, worker, AssignmentSet(term=9, number=4, instance=worker.instance, entries=[]))
    session = await operator.connect(worker)
    session.want(of(item(worker)))
    await eventually(lambda: worker.assigned)
    assert [(each.term, each.number) for each in worker.conflicts] == [(9, 4)]
    assert worker.sets[-1].term > 9


async def test_another_instance_forgets_and_is_given_nothing_of_the_old_one(
    operator: Operator, start_worker: StartWorker
) -> None:
    worker = await start_worker(scripts=Scripts(usual=[first_frame()]))
    session = await operator.connect(worker)
    session.want(of(item(worker)))
    await eventually(report_of(session, JobState.RUNNING))
    old, starts = worker.instance, len(worker.scripts.seen["camera"])
    worker.crash()
    await eventually(lambda: session.state.connected and session.state.info.instance == worker.instance != old)
    await eventually(lambda: worker.sets[-1].instance == worker.instance)
    assert session.state.reports == {}
    assert worker.sets[-1].entries == []
    assert len(worker.scripts.seen["camera"]) == starts
    session.want(of(item(worker, epoch=2)))
    await eventually(report_of(session, JobState.RUNNING))
    assert worker.sets[-1].entries[0].spec == SPEC


async def test_who_does_not_lead_listens_and_assigns_nothing(operator: Operator, start_worker: StartWorker) -> None:
    worker = await start_worker(scripts=QUIET)
    operator.term = None
    session = await operator.connect(worker)
    session.want(of(item(worker)))
    await asyncio.sleep(0.2)
    assert worker.sets == []
    operator.term = 3
    session.want(of(item(worker), item(worker, "second")))
    await eventually(lambda: len(worker.assigned) == 2)
    assert worker.sets[0].term == 3


class Turns(asyncio.Semaphore):
    """One at a time; tells when somebody has to wait."""

    def __init__(self) -> None:
        super().__init__(1)
        self.somebody_waits = asyncio.Event()

    async def acquire(self) -> bool:
        if self.locked():
            self.somebody_waits.set()
        return await super().acquire()


async def test_sessions_ask_in_turn_and_listen_beside_each_other(operator: Operator, start_worker: StartWorker) -> None:
    operator.asking = turns = Turns()
    first, second = await start_worker(), await start_worker("pool-0-1")
    first.go_silent()
    held = operator.dial(first)
    waiting = operator.dial(second, "pool-0-1")
    await turns.somebody_waits.wait()
    assert not waiting.state.connected
    first.speak()
    await eventually(lambda: held.state.connected and waiting.state.connected)


async def test_silence_ends_the_connection_and_it_is_dialled_again(
    operator: Operator, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeout = aiohttp.ClientTimeout(total=None, connect=1, sock_read=0.4)
    monkeypatch.setattr(worker_session, "_STREAM_TIMEOUT", timeout)
    monkeypatch.setattr(worker_session, "_CALL_TIMEOUT", aiohttp.ClientTimeout(total=0.4, connect=0.4))
    worker = await start_worker(scripts=Scripts(usual=[first_frame()]))
    session = await operator.connect(worker)
    session.want(of(item(worker)))
    await eventually(report_of(session, JobState.RUNNING))
    worker.go_silent()
    await eventually(lambda: not session.state.connected)
    worker.job("camera").ended()
    assert time.monotonic() - session.state.last_line >= 0.4, "that it ended is nothing heard"
    worker.speak()
    await eventually(lambda: session.state.connected and report_of(session, JobState.ENDED)())
    assert len(worker.scripts.seen["camera"]) == 1, "what the worker had it keeps"


async def test_a_worker_that_offers_what_cannot_be_is_dialled_again_and_never_taken(
    operator: Operator, start_worker: StartWorker
) -> None:
    worker = await start_worker(capacity=5)
    worker.capacity = 2**40
    session = operator.dial(worker)
    await asyncio.sleep(0.5)
    assert (session.state.connected, session.state.info) == (False, None)
    worker.capacity = 5
    await eventually(lambda: session.state.connected)


async def test_a_worker_that_is_gone_is_not_connected(operator: Operator, start_worker: StartWorker) -> None:
    worker = await start_worker()
    session = await operator.connect(worker)
    before = operator.changes
    await worker.stop()
    await eventually(lambda: not session.state.connected)
    assert operator.changes == before + 1


async def test_a_worker_with_another_name_or_authority_hears_nothing(
    operator: Operator, start_worker: StartWorker
) -> None:
    misnamed = operator.dial(await start_worker("pool-0-0"), pod="pool-0-1")
    stranger = operator.dial(await start_worker("pool-0-0", authority=pki.new_authority(NOW)))
    await asyncio.sleep(0.5)
    for session in (misnamed, stranger):
        assert (session.state.connected, session.state.info) == (False, None)


async def test_a_client_of_another_role_may_not_assign(
    http: aiohttp.ClientSession, authority: pki.KeyPair, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule is the worker's; this is that the operator's certificate carries the name that it asks for."""
    worker = await start_worker()
    monkeypatch.setattr("videofleet_operator.services.authority.OPERATOR_CLIENT_NAME", "somebody-else")
    operator = Operator(http, authority)
    session = operator.dial(worker)
    await asyncio.sleep(0.5)
    assert not session.state.connected
    await session.close()


async def _put(operator: Operator, worker: SimulatedWorker, body: AssignmentSet) -> None:
    address = Address("video", worker.name, "pod-uid", worker.host, worker.port)
    async with operator.http.put(
        f"{address.base}/v1/assignments",
        json=body.wire(),
        ssl=client_context(operator.authority, NOW),
        server_hostname=address.server_name,
    ) as response:
        assert response.status == 200
