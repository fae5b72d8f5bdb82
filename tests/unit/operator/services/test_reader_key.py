"""The key pair of those who read from workers."""

import base64
import datetime

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.unit.kube.fakeapi import FakeApi
from tests.unit.operator.services.conftest import NOW
from videofleet_api.names import READER_CLIENT_NAME
from videofleet_kube import ApiSession
from videofleet_operator.services import pki
from videofleet_operator.services.reader_key import make_good

SECRET = ("api/v1/secrets", "video", "reader")
AUTHORITY = pki.new_authority(NOW)


def data(api: FakeApi) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in api.objects[SECRET]["data"].items()}


async def test_it_names_a_reader_and_is_of_the_authority(api: FakeApi, session: ApiSession) -> None:
    await make_good(session, "video", "reader", AUTHORITY, NOW)
    made = data(api)
    certificate = x509.load_pem_x509_certificate(made["tls.crt"])
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == READER_CLIENT_NAME
    assert made["ca.crt"] == AUTHORITY.certificate
    assert pki.lasts(AUTHORITY, made["tls.crt"], NOW)


async def test_one_that_is_good_stays(api: FakeApi, session: ApiSession) -> None:
    for _ in range(2):
        await make_good(session, "video", "reader", AUTHORITY, NOW)
    assert [method for method, _, _ in api.requests] == ["GET", "POST", "GET"]


async def test_one_of_another_authority_or_half_spent_is_renewed(api: FakeApi, session: ApiSession) -> None:
    await make_good(session, "video", "reader", pki.new_authority(NOW), NOW)
    await make_good(session, "video", "reader", AUTHORITY, NOW)
    second = data(api)
    assert second["ca.crt"] == AUTHORITY.certificate
    await make_good(session, "video", "reader", AUTHORITY, NOW + datetime.timedelta(days=500))
    assert data(api)["tls.crt"] != second["tls.crt"]


@pytest.mark.parametrize("given", [{}, {"tls.crt": "AAAA"}, {"tls.crt": "no base64"}])
async def test_what_cannot_be_used_is_made_anew(api: FakeApi, session: ApiSession, given: dict[str, str]) -> None:
    api.put(*SECRET, data=given)
    await make_good(session, "video", "reader", AUTHORITY, NOW)
    assert pki.lasts(AUTHORITY, data(api)["tls.crt"], NOW)
