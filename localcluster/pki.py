"""Keys and certificates of one cluster, made with the openssl command."""

from dataclasses import dataclass
from pathlib import Path

from localcluster.layout import API_SERVICE_IP, BRIDGE_IP, CLUSTER_DOMAIN, NODE_NAME
from localcluster.shell import run

DAYS = "3650"


@dataclass(frozen=True)
class Certificate:
    """One certificate: file name, subject, names it serves, what it may be used for."""

    name: str
    common_name: str
    organization: str = ""
    alternative_names: tuple[str, ...] = ()
    usage: str = "clientAuth"
    authority: str = "ca"

    @property
    def subject(self) -> str:
        """As openssl wants it; Kubernetes reads O as the group and CN as the user."""
        return (f"/O={self.organization}" if self.organization else "") + f"/CN={self.common_name}"


API_NAMES = (
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    f"DNS:kubernetes.default.svc.{CLUSTER_DOMAIN}",
    "DNS:localhost",
    f"IP:{API_SERVICE_IP}",
    f"IP:{BRIDGE_IP}",
    "IP:127.0.0.1",
)
NODE_NAMES = (f"DNS:{NODE_NAME}", f"IP:{BRIDGE_IP}", "IP:127.0.0.1")

CERTIFICATES = (
    Certificate("apiserver", "kube-apiserver", "", API_NAMES, "serverAuth"),
    Certificate("etcd", "etcd", "", ("DNS:localhost", "IP:127.0.0.1"), "serverAuth,clientAuth"),
    Certificate("etcd-client", "kube-apiserver-etcd-client"),
    Certificate("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
    Certificate("kubelet-server", NODE_NAME, "", NODE_NAMES, "serverAuth"),
    Certificate("kubelet", f"system:node:{NODE_NAME}", "system:nodes"),
    Certificate("controller-manager", "system:kube-controller-manager"),
    Certificate("scheduler", "system:kube-scheduler"),
    Certificate("kube-proxy", "system:kube-proxy"),
    Certificate("coredns", "system:coredns"),
    Certificate("admin", "videofleet-admin", "system:masters"),
    Certificate("front-proxy-client", "front-proxy-client", authority="front-proxy-ca"),
)
# The second one signs only the API server's calls to aggregated APIs: whoever holds a certificate of it may name
# any user, so it must not be the one that signs users.
AUTHORITIES = ("ca", "front-proxy-ca")


def extensions(certificate: Certificate) -> str:
    """The x509v3 extensions; strict clients refuse certificates without the key identifiers."""
    lines = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        f"extendedKeyUsage={certificate.usage}",
        "subjectKeyIdentifier=hash",
        "authorityKeyIdentifier=keyid",
    ]
    if certificate.alternative_names:
        lines.append("subjectAltName=" + ",".join(certificate.alternative_names))
    return "\n".join(lines) + "\n"


def ensure_pki(directory: Path) -> None:
    """Make what is missing; the authority is made first, and once."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for authority in AUTHORITIES:
        if not (directory / f"{authority}.crt").exists():
            _make_authority(directory, authority)
    if not (directory / "sa.pub").exists():
        _make_service_account_key(directory)
    for certificate in CERTIFICATES:
        if not (directory / f"{certificate.name}.crt").exists():
            _make_certificate(directory, certificate)


def _make_key(path: Path) -> None:
    run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path)])
    path.chmod(0o600)


def _make_authority(directory: Path, name: str) -> None:
    key = directory / f"{name}.key"
    _make_key(key)
    argv = ["openssl", "req", "-x509", "-new", "-key", str(key), "-days", DAYS, "-out", str(directory / f"{name}.crt")]
    argv += ["-subj", f"/CN=videofleet-localcluster-{name}"]
    argv += ["-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"]
    run(argv)


def _make_service_account_key(directory: Path) -> None:
    key = directory / "sa.key"
    _make_key(key)
    run(["openssl", "ec", "-in", str(key), "-pubout", "-out", str(directory / "sa.pub")])


def _make_certificate(directory: Path, certificate: Certificate) -> None:
    key, request = directory / f"{certificate.name}.key", directory / f"{certificate.name}.csr"
    _make_key(key)
    run(["openssl", "req", "-new", "-key", str(key), "-subj", certificate.subject, "-out", str(request)])
    wanted = directory / f"{certificate.name}.ext"
    wanted.write_text(extensions(certificate))
    argv = ["openssl", "x509", "-req", "-in", str(request), "-days", DAYS, "-extfile", str(wanted)]
    authority = directory / certificate.authority
    argv += ["-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-CAcreateserial"]
    run([*argv, "-out", str(directory / f"{certificate.name}.crt")])
    request.unlink()
    wanted.unlink()
