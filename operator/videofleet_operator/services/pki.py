"""Keys and certificates of the operator's own authority: ECDSA P-256, for mutual TLS with workers."""

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CA_LIFE = datetime.timedelta(days=3650)
_LEAF_LIFE = datetime.timedelta(days=825)
_BACKDATE = datetime.timedelta(days=7)
"""How far a node's clock may be ahead of another's: what it issues is valid on both, and a certificate that is not yet
valid would cut every worker off until the other clock has caught up."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, PEM."""

    certificate: bytes
    key: bytes


def new_authority(now: datetime.datetime) -> KeyPair:
    """A self-signed certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("videofleet worker authority")
    builder = _builder(name, name, key.public_key(), now, _CA_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(sign_certificates=True), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())
    return KeyPair(_pem(certificate), _key_pem(key))


def check_authority(pair: KeyPair) -> None:
    """Raises ValueError or TypeError for what is no certificate with its elliptic curve key."""
    certificate, key = x509.load_pem_x509_certificate(pair.certificate), _authority_key(pair)
    if certificate.public_key() != key.public_key():
        raise ValueError("the key does not belong to the certificate")


def issue_server(authority: KeyPair, server_name: str, now: datetime.datetime) -> KeyPair:
    """A key pair with which a worker answers under `server_name`."""
    return _issue(authority, server_name, now, ExtendedKeyUsageOID.SERVER_AUTH, [x509.DNSName(server_name)])


def issue_client(authority: KeyPair, common_name: str, now: datetime.datetime) -> KeyPair:
    """A key pair with which somebody talks to workers under `common_name`."""
    return _issue(authority, common_name, now, ExtendedKeyUsageOID.CLIENT_AUTH, [])


def lasts(authority: KeyPair, certificate: bytes, now: datetime.datetime) -> bool:
    """Whether the authority has issued a certificate, and it is good for at least half of its life."""
    try:
        leaf = x509.load_pem_x509_certificate(certificate)
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return leaf.not_valid_after_utc - now > _LEAF_LIFE / 2


def _issue(
    authority: KeyPair,
    common_name: str,
    now: datetime.datetime,
    usage: x509.ObjectIdentifier,
    names: list[x509.GeneralName],
) -> KeyPair:
    ca_certificate = x509.load_pem_x509_certificate(authority.certificate)
    ca_key = _authority_key(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    # A common name has at most 64 characters; the subject alternative name is what counts for servers.
    builder = _builder(_name(common_name[:64]), ca_certificate.subject, key.public_key(), now, _LEAF_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(sign_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return KeyPair(_pem(builder.sign(ca_key, hashes.SHA256())), _key_pem(key))


def _authority_key(authority: KeyPair) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(authority.key, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the key of the worker authority is not an elliptic curve key")
    return key


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + life)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
