"""Addresses and credentials of a job, hidden as long as something of it is here."""

import io
import json
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from videofleet_api.codes import ErrorCode, OutputHealth, SourceHealth
from videofleet_api.logs import JsonFormatter
from videofleet_api.outputs import OutputPolicy
from videofleet_api.protocol import AssignmentSet, Entry, JobProgress, JobSource, JobSpec
from videofleet_api.redaction import redact_text
from videofleet_api.steps import Analytics, Step
from videofleet_api.targets import JobOutputs, RouterTarget, WebhookTarget
from videofleet_archive.store import FolderArchive
from videofleet_archive.threads import StoreThreads
from videofleet_worker.jobs.assignments import Job
from videofleet_worker.jobs.reports import JobReporter
from videofleet_worker.logs import ARCHIVE, Secrets, secrets_of_source
from videofleet_worker.outputs.ways import WaysOut
from videofleet_worker.pipeline.leftovers import Leftovers
from videofleet_worker.pipeline.run import StreamRun
from videofleet_worker.pipeline.untold import UntoldRuns
from videofleet_worker.supervisor import Supervisor

CAMERA = "rtsp://viewer:pa55@camera.example/live/5tream-t0ken"
HOOK = "https://hooks.example/services/T0/B0/h00k"
ROUTER = "https://router.example/in?site=berlin-r0uter"
EVENTS = "https://router.example/events/3vents"
WORDS = ("viewer", "pa55", "5tream-t0ken", "h00k", "r0uter", "3vents")
SPEC = JobSpec(
    source=JobSource(url=CAMERA),
    analytics=[Analytics(name="main", steps=[Step(model="detect")])],
    outputs=JobOutputs(router=RouterTarget(url=ROUTER, events_url=EVENTS), webhooks=[WebhookTarget(url=HOOK)]),
)


class Careless:
    """A run that tells its addresses wherever it can, and fails with them."""

    def __init__(self, job: Job, reporter: JobReporter) -> None:
        source, outputs = job.spec.source, job.spec.outputs
        assert outputs.router is not None
        self._said = f"{source.url} {outputs.webhooks[0].url} {outputs.router.url} /events/3vents"
        self._reporter = reporter

    async def run(self) -> None:
        logging.getLogger(__name__).warning("cannot reach %s", self._said)
        self._reporter.reconnecting(ErrorCode.NETWORK, self._said)
        self._reporter.health(SourceHealth.BLACK, self._said)
        self._reporter.progress(JobProgress(outputs=OutputHealth.WAITING, outputs_message=self._said))
        raise ValueError(self._said)


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
async def supervisor(tmp_path: Path, secrets: Secrets) -> AsyncIterator[Supervisor]:
    ways, leftovers = WaysOut(OutputPolicy()), Leftovers(secrets)
    with ThreadPoolExecutor(1) as executor:
        threads = StoreThreads(FolderArchive(tmp_path), executor)
        careless = Supervisor(
            "an-instance",
            lambda job, reporter: cast(StreamRun, Careless(job, reporter)),
            secrets,
            threads,
            UntoldRuns(threads, ways, leftovers),
        )
        yield careless
        await careless.close(1.0)
        await ways.close()


async def test_what_a_run_says_by_mistake_is_hidden_until_it_is_over(supervisor: Supervisor, secrets: Secrets) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(secrets.redact))
    logging.getLogger().addHandler(handler)
    try:
        entry = Entry(uid="a", namespace="default", name="cam", run=1, epoch=1, digest="d", spec=SPEC)
        wanted = AssignmentSet(term=1, number=1, instance="an-instance", entries=[entry])
        supervisor.apply(wanted)
        (one,) = supervisor.running()
        assert one.task is not None
        await one.task
    finally:
        logging.getLogger().removeHandler(handler)
    (report,) = supervisor.reports()
    events = b"".join([line async for line in _first(supervisor, 5)])
    told = [report.message, report.health_message, report.progress.outputs_message, stream.getvalue(), events.decode()]
    for each in told:
        assert each
        assert "***" in each
        assert not [word for word in WORDS if word in each], each
    assert "internal error: ValueError" in (report.message or "")

    supervisor.apply(wanted.model_copy(update={"number": 2, "entries": []}))
    await supervisor.drain()
    assert secrets.redact("h00k, /services/T0/B0/h00k") == "h00k, /services/T0/B0/h00k", "it is forgotten"


def test_nobody_can_guess_at_the_secrets_of_others_but_all_logs_are_clean() -> None:
    secrets = Secrets()
    secrets.remember("mine", ["pa55-of-mine"])
    secrets.remember("theirs", ["pa55-of-theirs"])
    secrets.remember(ARCHIVE, ["archive-k3y"])
    said = "no file /media/pa55-of-mine/pa55-of-theirs/archive-k3y"
    assert secrets.redact_for("mine", said) == "no file /media/***/pa55-of-theirs/***"
    assert secrets.redact(said) == "no file /media/***/***/***"
    secrets.forget("theirs")
    assert secrets.redact(said) == "no file /media/***/pa55-of-theirs/***"


def test_a_short_name_of_a_user_hides_no_words() -> None:
    source = JobSource(url="rtsp://cam.example/1", username="a", password="pa55")
    assert redact_text("cam.example says pa55", *secrets_of_source(source)) == "cam.example says ***"


async def _first(supervisor: Supervisor, count: int) -> AsyncIterator[bytes]:
    """So many lines of what the operator is told, from the beginning."""
    async for line in supervisor.hub.lines(None, operator=True):
        yield line
        count -= 1
        if not count or json.loads(line).get("kind") == "inventory":
            return
