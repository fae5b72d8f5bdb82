"""The authority in its Secret."""

import base64

import pytest

from tests.unit.kube.fakeapi import FakeApi
from tests.unit.operator.services.conftest import NOW
from videofleet_kube import ApiSession
from videofleet_operator.services import pki
from videofleet_operator.services.authority import AuthorityError, load_or_create

SECRET = ("api/v1/secrets", "video", "authority")


async def test_the_first_replica_makes_it_and_the_next_takes_it(api: FakeApi, session: ApiSession) -> None:
    made = await load_or_create(session, "video", "authority", NOW)
    assert await load_or_create(session, "video", "authority", NOW) == made
    assert [method for method, _, _ in api.requests] == ["GET", "POST", "GET"]
    assert api.objects[SECRET]["type"] == "kubernetes.io/tls"


async def test_who_comes_second_takes_the_other_ones(api: FakeApi, session: ApiSession) -> None:
    winner = pki.new_authority(NOW)

    def other_is_faster(request: object) -> None:
        if SECRET not in api.objects and getattr(request, "method", "") == "POST":
            data = {"tls.crt": winner.certificate, "tls.key": winner.key}
            api.put(*SECRET, data={key: base64.b64encode(value).decode() for key, value in data.items()})

    api.always = other_is_faster
    assert await load_or_create(session, "video", "authority", NOW) == winner


@pytest.mark.parametrize(
    "data",
    [{}, {"tls.crt": "AAAA"}, {"tls.crt": "not base64", "tls.key": "AAAA"}, {"tls.crt": "AAAA", "tls.key": "AAAA"}],
)
async def test_what_cannot_be_used_is_named_with_its_remedy(
    api: FakeApi, session: ApiSession, data: dict[str, str]
) -> None:
    api.put(*SECRET, data=data)
    with pytest.raises(
        AuthorityError, match=r"Secret video/authority has no usable tls.crt and tls.key \(.*: delete it"
    ):
        await load_or_create(session, "video", "authority", NOW)
