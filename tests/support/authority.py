"""Certificates of workers, and of those that they answer."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from videofleet_api.names import OPERATOR_CLIENT_NAME, READER_CLIENT_NAME

POD, POOL_NAMESPACE = "pool-0-1", "default"
"""The pod and the namespace that a worker's certificate is for."""
SERVER_NAME = f"{POD}.{POOL_NAMESPACE}.worker.videofleet.internal"


class Authority:
    """A certificate authority of a test."""

    def __init__(self, name: str = "test CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = _builder(self._name, self._name, self._key.public_key(), ca=True).sign(
            self._key, hashes.SHA256()
        )

    @property
    def bundle(self) -> bytes:
        """What trusts this authority, as PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, folder: Path, common_name: str, *names: str) -> Path:
        """Write tls.crt, tls.key and ca.crt for a name into the folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _builder(subject, self._name, key.public_key(), ca=False)
        if names:
            alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        folder.mkdir(parents=True, exist_ok=True)
        certificate = builder.sign(self._key, hashes.SHA256())
        (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / "tls.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (folder / "ca.crt").write_bytes(self.bundle)
        return folder


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=24))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )


def client_context(folder: Path) -> ssl.SSLContext:
    """A client with the key pair in the folder that trusts the authority in it."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


@dataclass(frozen=True)
class Keys:
    """Folders with key pairs of one authority."""

    authority: Authority
    server: Path
    operator: Path
    reader: Path
    stranger: Path

    @classmethod
    def made(cls, folder: Path) -> Self:
        """New ones, below a folder."""
        authority = Authority()
        return cls(
            authority,
            authority.issue(folder / "server", "worker", SERVER_NAME),
            authority.issue(folder / "operator", OPERATOR_CLIENT_NAME),
            authority.issue(folder / "reader", READER_CLIENT_NAME),
            authority.issue(folder / "stranger", "somebody-else"),
        )
