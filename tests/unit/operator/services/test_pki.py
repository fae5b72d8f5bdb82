"""Keys and certificates of the operator's own authority."""

import asyncio
import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from tests.support.simulated_worker import TlsFiles
from tests.unit.operator.services.conftest import NOW
from videofleet_api.names import OPERATOR_CLIENT_NAME, worker_server_name
from videofleet_operator.services import pki
from videofleet_operator.services.authority import client_context

SERVER = worker_server_name("video", "pool-0-0")


def certificate(pair: pki.KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate)


def test_a_servers_chain_verifies_for_its_name_alone(authority: pki.KeyPair) -> None:
    pair = pki.issue_server(authority, SERVER, NOW)
    store = Store([certificate(authority)])
    policy = PolicyBuilder().store(store).time(NOW.replace(tzinfo=None))
    chain = policy.build_server_verifier(x509.DNSName(SERVER)).verify(certificate(pair), [])
    assert chain[-1] == certificate(authority)
    another = policy.build_server_verifier(x509.DNSName(worker_server_name("video", "pool-0-1")))
    with pytest.raises(x509.verification.VerificationError):
        another.verify(certificate(pair), [])


def test_roles_are_in_the_key_usages(authority: pki.KeyPair) -> None:
    server = certificate(pki.issue_server(authority, SERVER, NOW))
    client = certificate(pki.issue_client(authority, OPERATOR_CLIENT_NAME, NOW))
    for leaf, purpose in ((server, ExtendedKeyUsageOID.SERVER_AUTH), (client, ExtendedKeyUsageOID.CLIENT_AUTH)):
        assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [purpose]
        assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
        assert (usage.digital_signature, usage.key_cert_sign) == (True, False)
        assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    assert client.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == OPERATOR_CLIENT_NAME
    constraints = certificate(authority).extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.value.ca, constraints.value.path_length, constraints.critical) == (True, 0, True)


def test_what_a_node_issues_is_valid_on_one_whose_clock_is_days_behind(authority: pki.KeyPair) -> None:
    for pair in (authority, pki.issue_server(authority, SERVER, NOW), pki.issue_client(authority, "operator", NOW)):
        assert certificate(pair).not_valid_before_utc < NOW - datetime.timedelta(days=5)
        assert certificate(pair).not_valid_after_utc > NOW + datetime.timedelta(days=365)


def test_long_names_fit(authority: pki.KeyPair) -> None:
    long = worker_server_name("n" * 63, "p" * 46)
    names = certificate(pki.issue_server(authority, long, NOW)).extensions
    found = names.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert found == [long]


def test_a_pair_that_does_not_belong_together_is_noticed(authority: pki.KeyPair) -> None:
    pki.check_authority(authority)
    other = pki.new_authority(NOW)
    with pytest.raises(ValueError, match="does not belong"):
        pki.check_authority(pki.KeyPair(authority.certificate, other.key))
    with pytest.raises(ValueError, match="PEM"):
        pki.check_authority(pki.KeyPair(b"nonsense", authority.key))


async def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str:
    """The common name that the server sees after a handshake over the loopback address."""
    seen: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subject = dict(pair for group in writer.get_extra_info("peercert")["subject"] for pair in group)
        seen.set_result(subject["commonName"])
        writer.write(await reader.readline())
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        return await seen


async def test_operator_and_worker_shake_hands(authority: pki.KeyPair) -> None:
    pair = pki.issue_server(authority, SERVER, NOW)
    server = TlsFiles(pair.certificate, pair.key, authority.certificate).context()
    assert await handshake(server, client_context(authority, NOW), SERVER) == OPERATOR_CLIENT_NAME


async def test_a_worker_of_another_name_or_authority_is_refused(authority: pki.KeyPair) -> None:
    pair = pki.issue_server(authority, SERVER, NOW)
    server = TlsFiles(pair.certificate, pair.key, authority.certificate).context()
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        await handshake(server, client_context(authority, NOW), worker_server_name("video", "pool-0-1"))
    stranger = pki.new_authority(NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(server, client_context(stranger, NOW), SERVER)
