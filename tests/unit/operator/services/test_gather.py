"""From caches to snapshots: what is kept, and what is missing."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.support.domain import NOW, record
from tests.unit.kube.fakeapi import FakeApi
from tests.unit.kube.helpers import ManualClock, eventually
from tests.unit.operator.services.conftest import NOW as TODAY
from videofleet_api.codes import Reason
from videofleet_api.names import LABEL_INCARNATION, LABEL_ORDINAL, LABEL_POOL
from videofleet_api.phases import Phase
from videofleet_kube import ApiSession
from videofleet_operator.domain.model import Licence
from videofleet_operator.services import pki
from videofleet_operator.services.authority import client_context
from videofleet_operator.services.caches import Caches
from videofleet_operator.services.fleet import Fleet
from videofleet_operator.services.gather import Gatherer
from videofleet_operator.services.secrets import REFRESH_MISSING, SecretStore

JOBS = "apis/videofleet.io/v1alpha1/videojobs"
ANALYTICS = [{"steps": [{"model": "detect"}]}]
PLAIN = {"source": {"url": "rtsp://camera/1"}, "analytics": ANALYTICS}
NAMED = {"source": {"url": "rtsp://camera/1", "credentialsSecretRef": {"name": "login"}}, "analytics": ANALYTICS}


class Made:
    """A gatherer over caches that the test fills."""

    def __init__(self, api: FakeApi, session: ApiSession, http: aiohttp.ClientSession, tls: Any) -> None:
        self.api = api
        self.clock = ManualClock()
        self.caches = Caches.of(session, None, lambda: None)
        self.secrets = SecretStore(session, lambda: None, self.clock, tick=0.005)
        self.fleet = Fleet(http, tls, term=lambda: None, changed=lambda: None, clock=self.clock)
        self.gatherer = Gatherer(
            self.caches,
            self.fleet,
            self.secrets,
            lambda: {("cluster", "licence"): False},
            b"k",
            lambda worker, pod, pool: worker,
        )

    def job(self, name: str = "camera", spec: dict[str, Any] | None = None, **metadata: Any) -> None:
        body = self.api.put(JOBS, "video", name, spec=PLAIN if spec is None else spec, metadata=metadata)
        self.caches.jobs.feed(body)

    def problem(self, name: str = "camera") -> tuple[Reason, str] | None:
        (known,) = [each for each in self.gatherer.jobs(NOW).values() if each.job.name == name]
        return None if known.job.problem is None else (known.job.problem.reason, known.job.problem.message)


@pytest.fixture
async def made(
    api: FakeApi, session: ApiSession, http: aiohttp.ClientSession, authority: pki.KeyPair
) -> AsyncIterator[Made]:
    opened = Made(api, session, http, client_context(authority, TODAY))
    task = asyncio.create_task(opened.secrets.run())
    yield opened
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await opened.fleet.close()


async def test_what_did_not_change_is_not_made_again(made: Made) -> None:
    made.job("one")
    made.job("two")
    first = {known.job.name: known for known in made.gatherer.jobs(NOW).values()}
    made.job("two", metadata={"labels": {"a": "b"}}, spec={**PLAIN, "priority": 3})
    second = {known.job.name: known for known in made.gatherer.jobs(NOW).values()}
    assert second["one"] is first["one"]
    assert second["two"].job.spec.priority == 3
    assert second["two"].job.digest == first["two"].job.digest


async def test_a_job_that_is_being_deleted_is_not_there(made: Made) -> None:
    made.job(deletionTimestamp="2026-01-01T00:00:00Z")
    assert made.gatherer.jobs(NOW) == {}
    assert made.gatherer.snapshot(0.0, Licence(), {}).jobs == {}


async def test_until_its_secret_was_looked_for_a_job_is_undecided(made: Made) -> None:
    made.job(spec=NAMED)
    assert made.problem() == (Reason.PENDING, "reading Secret login")
    await eventually(lambda: made.secrets.is_known("video", "login"))
    problem = made.problem()
    assert problem is not None
    assert problem[0] is Reason.SECRET_MISSING


async def test_a_secret_that_lacks_a_key_is_looked_at_again_soon(made: Made) -> None:
    user = base64.b64encode(b"viewer").decode()
    made.api.put("api/v1/secrets", "video", "login", data={"username": user})
    made.job(spec=NAMED)
    made.gatherer.jobs(NOW)
    await eventually(lambda: made.secrets.is_known("video", "login"))
    assert "has no key password" in str(made.problem())
    made.api.put("api/v1/secrets", "video", "login", data={"password": user})
    made.clock.now += REFRESH_MISSING
    await eventually(lambda: made.problem() is None)


async def test_a_changed_secret_is_another_digest(made: Made) -> None:
    value = base64.b64encode(b"one").decode()
    made.api.put("api/v1/secrets", "video", "login", data={"username": value, "password": value})
    made.job(spec=NAMED)
    await eventually(lambda: made.problem() is None)
    (before,) = made.gatherer.jobs(NOW).values()
    made.api.put("api/v1/secrets", "video", "login", data={"password": base64.b64encode(b"two").decode()})
    made.gatherer.doubt_secrets(before)
    await eventually(lambda: next(iter(made.gatherer.jobs(NOW).values())).job.digest != before.job.digest)


async def test_nothing_is_sent_of_a_secret_that_the_digest_is_not_of(made: Made) -> None:
    value = base64.b64encode(b"one").decode()
    made.api.put("api/v1/secrets", "video", "login", data={"username": value, "password": value})
    made.job(spec=NAMED)
    await eventually(lambda: made.problem() is None)
    (before,) = made.gatherer.jobs(NOW).values()
    given = before.payload()
    assert given is not None
    assert (given.source.url, given.source.password) == ("rtsp://camera/1", "one")
    made.api.put("api/v1/secrets", "video", "login", data={"password": base64.b64encode(b"two").decode()})
    made.gatherer.doubt_secrets(before)
    await eventually(lambda: before.payload() is None)
    (after,) = made.gatherer.jobs(NOW).values()
    given = after.payload()
    assert given is not None
    assert given.source.password == "two"


async def test_jobs_that_differ_in_their_address_share_a_spec(made: Made) -> None:
    made.job("one")
    made.job("two", spec={**PLAIN, "source": {"url": "https://files.example/clip.mp4"}})
    made.job("three", spec={**PLAIN, "slots": 2})
    jobs = {known.job.name: known for known in made.gatherer.jobs(NOW).values()}
    assert jobs["one"].job.spec is jobs["two"].job.spec
    assert jobs["one"].job.spec is not jobs["three"].job.spec
    assert (jobs["one"].job.recorded, jobs["two"].job.recorded) == (False, True)
    urls = [None if (given := jobs[name].payload()) is None else given.source.url for name in ("one", "two")]
    assert urls == ["rtsp://camera/1", "https://files.example/clip.mp4"]


async def test_jobs_that_differ_in_more_share_the_other_parts(made: Made) -> None:
    made.job("one", spec={**PLAIN, "labels": {"site": "a"}})
    made.job("two", spec={**PLAIN, "labels": {"site": "b"}, "restart": {}})
    made.job("three", spec={**PLAIN, "restart": {"delay": 2}})
    one, two, three = (known.job.spec for known in made.gatherer.jobs(NOW).values())
    assert (one.labels, two.labels) == ({"site": "a"}, {"site": "b"})
    assert one.analytics is two.analytics is three.analytics
    assert one.restart is two.restart
    assert three.restart.delay == 2


async def test_the_host_of_a_source_is_known_also_from_a_secret(made: Made) -> None:
    url = base64.b64encode(b"rtsp://viewer:hidden@recorder.example:554/7").decode()
    made.api.put("api/v1/secrets", "video", "address", data={"url": url})
    made.job("plain")
    made.job("hidden", spec={**PLAIN, "source": {"urlSecretRef": {"name": "address", "key": "url"}}})

    def hosts() -> dict[str, str | None]:
        return {known.job.name: known.job.host for known in made.gatherer.jobs(NOW).values()}

    assert hosts() == {"plain": "camera", "hidden": None}
    await eventually(lambda: hosts() == {"plain": "camera", "hidden": "recorder.example"})


async def test_further_secrets_are_kept_too(made: Made) -> None:
    made.gatherer.jobs(NOW)
    await eventually(lambda: made.secrets.is_known("cluster", "licence"))


async def test_a_spec_that_cannot_be_read_is_a_problem_of_its_job_alone(made: Made) -> None:
    made.job("good")
    made.job("bad", spec={"source": {}, "analytics": []})
    assert made.problem("good") is None
    problem = made.problem("bad")
    assert problem is not None
    assert problem[0] is Reason.INVALID_SPEC
    assert problem[1].startswith("spec.analytics: ")


async def test_what_is_being_written_counts_where_it_takes_something(made: Made) -> None:
    """It holds slots already; what it gives back is free only when it is written. Workers hear of neither yet."""
    made.job("takes")
    made.job("gives")
    takes, gives = made.gatherer.jobs(NOW).values()
    assumed = {
        takes.job.uid: record(Phase.STARTING),
        gives.job.uid: record(Phase.COMPLETED),
        "gone": record(Phase.STARTING),
    }
    snapshot = made.gatherer.snapshot(0.0, Licence(), assumed)
    phases = {job.name: job.record.phase for job in snapshot.jobs.values()}
    assert phases == {"takes": Phase.STARTING, "gives": Phase.AWAITING}
    assert {known.job.record.phase for known in made.gatherer.jobs(NOW).values()} == {Phase.AWAITING}


@pytest.mark.parametrize("spec", [{}, {"capacityPerWorker": 5000}], ids=["readable", "not readable"])
async def test_workers_stay_known_while_their_pool_cannot_be_read(made: Made, spec: dict[str, Any]) -> None:
    pool = made.api.put("apis/videofleet.io/v1alpha1/workerpools", "video", "p", spec=spec)
    made.caches.pools.feed(pool)
    owner = {"controller": True, "uid": pool["metadata"]["uid"]}
    labels = {LABEL_POOL: "p", LABEL_ORDINAL: "0", LABEL_INCARNATION: "0"}
    made.caches.pods.feed(
        made.api.put("api/v1/pods", "video", "p-0-0", metadata={"labels": labels, "ownerReferences": [owner]})
    )
    found = made.gatherer.snapshot(NOW, Licence(), {})
    assert [worker.pool for worker in found.workers.values()] == ["video/p"]
    assert list(found.pools) == ([] if spec else ["video/p"]), "but no job comes there"
