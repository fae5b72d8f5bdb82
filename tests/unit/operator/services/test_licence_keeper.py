"""The VideoLicense: who tells of it, and what is told."""

from __future__ import annotations

import asyncio
import base64
import datetime
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.domain import job, record, snapshot
from tests.support.signed_licences import public_pem, sign
from tests.unit.kube.fakeapi import FakeApi
from tests.unit.kube.helpers import ManualClock, eventually
from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_kube import ApiSession
from videofleet_kube.writes import WriteQueue
from videofleet_operator.config import Config
from videofleet_operator.domain.model import Licence
from videofleet_operator.domain.tally import Tally
from videofleet_operator.metrics import Metrics
from videofleet_operator.services.caches import Caches
from videofleet_operator.services.licences import LicenceKeeper
from videofleet_operator.services.secrets import SecretStore

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LICENSES = "apis/videofleet.io/v1alpha1/videolicenses"
STATUS = f"/{LICENSES}/default/status"
HOME = "vault"
NOW = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC).timestamp()


class Made:
    """A keeper of an operator in a namespace, over caches that the test fills."""

    def __init__(self, api: FakeApi, session: ApiSession, folder: Path, **settings: Any) -> None:
        config = Config(identity="one", worker_image="w", licence_public_keys=folder, **settings)
        self.api = api
        self.caches = Caches.of(session, None, lambda: None)
        self.secrets = SecretStore(session, lambda: None, ManualClock(), tick=0.005)
        self.queue = WriteQueue(session, lambda: True)
        self.metrics = Metrics()
        self.lease_renewed = ""
        self.keeper = LicenceKeeper(
            config, self.caches, self.secrets, self.queue, self.metrics, lambda: self.lease_renewed
        )
        self.tasks = [asyncio.create_task(self.secrets.run()), asyncio.create_task(self.queue.run())]

    async def look(self, used: int = 1) -> None:
        """One pass, once the Secret was looked for."""
        for body in self.api.collection(LICENSES):
            self.caches.licenses.feed(body)
        self.secrets.need(self.keeper.secret_keys())
        await eventually(lambda: all(self.secrets.is_known(*key) for key in self.keeper.secret_keys()))
        jobs = [job(str(number), record(Phase.INPROGRESS)) for number in range(used)]
        licence = self.keeper.current(NOW)
        used = Tally.of(snapshot(jobs, now=NOW)).licensed(licence)
        self.keeper.reconcile(licence, used, NOW)
        await self.queue.idle()

    @property
    def writes(self) -> list[dict[str, Any]]:
        return [body["status"] for method, path, body in self.api.requests if (method, path) == ("PATCH", STATUS)]

    def streams(self, state: str) -> float | None:
        return self.metrics.registry.get_sample_value("videofleet_licence_streams", {"state": state})


@pytest.fixture
async def make(api: FakeApi, session: ApiSession, tmp_path: Path) -> AsyncIterator[Callable[..., Made]]:
    (tmp_path / "vendor.pem").write_bytes(public_pem(KEY))
    opened: list[Made] = []

    def made(**settings: Any) -> Made:
        opened.append(Made(api, session, tmp_path, **settings))
        return opened[-1]

    yield made
    tasks = [task for each in opened for task in each.tasks]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def apply(api: FakeApi, **fields: Any) -> None:
    data = {"license": base64.b64encode(sign(KEY, **fields)).decode()}
    api.put("api/v1/secrets", HOME, "lic", data=data)
    reference = {"namespace": HOME, "name": "lic", "key": "license"}
    api.put(LICENSES, "", "default", spec={"secretRef": reference}, metadata={"generation": 1})


@pytest.mark.parametrize(
    ("namespace", "namespaces", "writes"),
    [
        (HOME, (HOME,), True),
        (HOME, (), True),
        ("video", (), True),
        ("video", ("video",), False),
        ("video", ("video", HOME), False),
    ],
)
async def test_who_writes_the_status(
    api: FakeApi, make: Callable[..., Made], namespace: str, namespaces: tuple[str, ...], writes: bool
) -> None:
    apply(api)
    made = make(namespace=namespace, namespaces=namespaces)
    await made.look()
    assert bool(made.writes) is writes
    assert made.keeper.current(NOW).limit == 5, "who does not write obeys all the same"


async def test_operators_with_their_own_counts_do_not_fight(api: FakeApi, make: Callable[..., Made]) -> None:
    apply(api)
    first, second = make(namespace=HOME, namespaces=(HOME,)), make(namespace="video", namespaces=("video",))
    for _ in range(3):
        await first.look(used=1)
        await second.look(used=2)
    assert [each["usedStreams"] for each in first.writes] == [1]


async def test_a_secret_that_is_not_there_is_no_licence(api: FakeApi, make: Callable[..., Made]) -> None:
    apply(api)
    api.remove("api/v1/secrets", HOME, "lic")
    made = make(namespace="video", namespaces=("video",))
    await made.look()
    problem = made.keeper.current(NOW).problem
    assert problem is not None
    assert problem.reason is Reason.LICENCE_INVALID


async def test_without_a_licence_no_number_of_streams_is_shown(api: FakeApi, make: Callable[..., Made]) -> None:
    apply(api)
    made = make(namespace=HOME)
    await made.look(used=2)
    assert (made.streams("allowed"), made.streams("used")) == (5, 2)
    made.keeper.reconcile(Licence(), 0, NOW)
    assert (made.streams("allowed"), made.streams("used")) == (None, 0)


async def test_when_the_licence_changes_by_itself(api: FakeApi, make: Callable[..., Made]) -> None:
    made = make(namespace=HOME)
    assert made.keeper.next_change(NOW) is None
    apply(api, expires="2027-01-01T00:00:05Z")
    await made.look()
    assert made.keeper.next_change(NOW) == NOW + 5
    assert made.keeper.next_change(NOW + 5) is None


async def test_the_status_says_what_the_licence_says(api: FakeApi, make: Callable[..., Made]) -> None:
    apply(api, features=["detect"], countRecorded=False, expires="2026-12-31T00:00:00Z", graceDays=2)
    made = make(namespace=HOME)
    await made.look()
    told = made.writes[-1]
    assert (told["features"], told["countRecorded"]) == (["detect"], False)
    assert told["graceEnds"] == "2027-01-02T00:00:00.000000Z"
    valid = told["conditions"][0]
    assert (valid["status"], valid["reason"]) == ("True", "InGracePeriod")
    licence = made.keeper.current(NOW)
    assert (licence.problem, licence.features, licence.count_recorded) == (None, {"detect"}, False)


async def test_a_clock_before_the_leases_renewal_is_told_once(api: FakeApi, make: Callable[..., Made]) -> None:
    apply(api)
    made = make(namespace=HOME)
    for renewed in ("2027-01-01T01:00:00.000000Z", "2027-01-01T01:00:00.000001Z"):
        made.lease_renewed = renewed
        await made.look()
    assert [each["conditions"][0]["reason"] for each in made.writes] == ["ClockRolledBack"]
    problem = made.keeper.current(NOW).problem
    assert problem is not None
    assert problem.reason is Reason.LICENCE_INVALID
    made.lease_renewed = "2027-01-01T00:00:00.500000Z"
    assert made.keeper.current(NOW).problem is None, "that is no more than two clocks may differ"


async def test_a_lease_that_somebody_edited_tells_no_time(api: FakeApi, make: Callable[..., Made]) -> None:
    apply(api)
    made = make(namespace=HOME)
    made.lease_renewed = "yesterday"
    await made.look()
    assert made.keeper.current(NOW).problem is None
