"""A control plane of its own, without kubelets: etcd, API server, controllers, scheduler, and kwok for the nodes.

For what must not share an API server with anybody, and for what counts the API server's writes and processor time.
Programs are those that localcluster builds. Everything lies in one folder and ends with the block.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from localcluster.gobuild import ensure_built
from localcluster.layout import current_layout
from localcluster.pki import ensure_pki
from tests.support.programs import free_port
from tests.support.waiting import wait_until

PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "kwok", "kubectl")
STAGES = Path(__file__).with_name("kwok") / "stages.yaml"
NODE_MARK = "videofleet.io/simulated"
SERVICES = "10.98.0.0/16"
WRITES = ("create", "update", "patch", "delete", "deletecollection")
_TICKS = os.sysconf("SC_CLK_TCK")
RAISED = ("--kube-api-qps=1000", "--kube-api-burst=2000")
"""For controller manager and scheduler; by default they send 20 and 50 requests a second."""


@dataclass(frozen=True, slots=True)
class Written:
    """One write that the API server answered, from its audit log."""

    agent: str
    """The program's name as it calls itself: videofleet, kube-scheduler, ..."""
    verb: str
    resource: str
    namespace: str
    name: str
    code: int


@dataclass
class ControlPlane:
    """Processes of one control plane; `started` is the way to one."""

    folder: Path
    bin: Path
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def kubeconfig(self) -> str:
        """Path of the administrator's kubeconfig."""
        return str(self.folder / "admin.kubeconfig")

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://127.0.0.1:{self.ports['api']}"

    def cpu_seconds(self, name: str = "kube-apiserver") -> float:
        """Processor time of one of the processes since its start (proc(5), fields 14 and 15)."""
        return cpu_seconds(self.processes[name].pid)

    def writes(self, offset: int = 0) -> tuple[list[Written], int]:
        """Writes in the audit log from a position on, and the position after them. Leases are left out."""
        with (self.folder / "audit.log").open("rb") as log:
            log.seek(offset)
            lines = log.read().split(b"\n")[:-1]
        position = offset + sum(len(line) + 1 for line in lines)
        return [each for line in lines if (each := _written(orjson.loads(line))) is not None], position

    def start_controllers(self, flags: Sequence[str] = ()) -> None:
        """Start controller manager and scheduler (again), with further flags for both."""
        for name in ("kube-controller-manager", "kube-scheduler"):
            self._stop(name)
        self._controller("kube-controller-manager", "controller-manager", "controllers", flags)
        self._controller("kube-scheduler", "scheduler", "scheduler", flags)

    def start(self) -> None:
        """Start everything and wait until the API server is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ensure_pki(self.folder)
        self.ports = {name: free_port() for name in ("etcd", "peer", "api", "controllers", "scheduler")}
        for user in ("admin", "controller-manager", "scheduler"):
            self._write_kubeconfig(user)
        (self.folder / "audit.yaml").write_bytes(orjson.dumps(AUDIT))
        etcd, peer = (f"http://127.0.0.1:{self.ports[name]}" for name in ("etcd", "peer"))
        self._run("etcd", *_etcd(self.folder, etcd, peer))
        self._run("kube-apiserver", *_api_server(self.folder, self.ports["api"], etcd))
        self._until_answers(self.server + "/readyz", "the API server is ready")
        self.start_controllers()
        self._run(
            "kwok",
            f"--kubeconfig={self.kubeconfig}",
            f"--config={STAGES}",
            # Addresses that the simulated fleet can listen on; other ones in each process.
            f"--cidr=127.{os.getpid() % 90 + 10}.0.1/16",
            f"--manage-nodes-with-label-selector={NODE_MARK}",
            "--node-lease-duration-seconds=40",
            "--v=WARN",
        )

    def stop(self) -> None:
        """End every process."""
        for name in reversed(list(self.processes)):
            self._stop(name)

    def _controller(self, name: str, user: str, port: str, flags: Sequence[str]) -> None:
        config = f"{self.folder}/{user}.kubeconfig"
        argv = [
            "--bind-address=127.0.0.1",
            f"--secure-port={self.ports[port]}",
            "--leader-elect=false",
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
        ]
        own = _controller_manager(self.folder) if name == "kube-controller-manager" else ()
        self._run(name, *argv, *own, *flags)
        self._until_answers(f"https://127.0.0.1:{self.ports[port]}/healthz", f"{name} is healthy")

    def _run(self, name: str, *argv: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen([str(self.bin / name), *argv], stdout=log, stderr=log)

    def _stop(self, name: str) -> None:
        process = self.processes.pop(name, None)
        if process is not None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _until_answers(self, url: str, what: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

        def answers() -> bool:
            try:
                with urllib.request.urlopen(url, context=context, timeout=2) as answer:
                    return bool(answer.status == 200)
            except (urllib.error.URLError, OSError):
                return False

        wait_until(answers, what, 120)

    def _write_kubeconfig(self, user: str) -> None:
        pki = self.folder
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.server, "certificate-authority": f"{pki}/ca.crt"}}],
            "users": [
                {"name": "u", "user": {"client-certificate": f"{pki}/{user}.crt", "client-key": f"{pki}/{user}.key"}}
            ],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        (self.folder / f"{user}.kubeconfig").write_bytes(orjson.dumps(document))


AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
        {"level": "Metadata", "verbs": list(WRITES)},
    ],
}


@contextmanager
def started(folder: Path) -> Iterator[ControlPlane]:
    """A control plane that runs while the block does. Builds what is missing, which takes minutes once."""
    layout = current_layout()
    ensure_built(layout, PROGRAMS)
    plane = ControlPlane(folder, layout.bin)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


def cpu_seconds(pid: int) -> float:
    """Processor time of a process since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_bytes(pid: int) -> int:
    """Proportional set size of a process: its private memory and its share of what it shares."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup has no Pss")


def node_body(name: str) -> dict[str, object]:
    """A node that kwok keeps ready."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {NODE_MARK: "true"}}}


def _written(event: dict[str, object]) -> Written | None:
    target, status = event.get("objectRef"), event.get("responseStatus")
    if not isinstance(target, dict) or not isinstance(status, dict) or event["stage"] != "ResponseComplete":
        return None
    resource = "/".join(filter(None, (target.get("resource", ""), target.get("subresource", ""))))
    agent = str(event.get("userAgent", "")).split("/")[0]
    verb, code = str(event["verb"]), int(status.get("code", 0))
    return Written(agent, verb, resource, target.get("namespace", ""), target.get("name", ""), code)


def _etcd(folder: Path, client: str, peer: str) -> list[str]:
    return [
        "--name=bench",
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=bench={peer}",
        "--log-level=warn",
        "--quota-backend-bytes=8589934592",
        "--unsafe-no-fsync",
    ]


def _api_server(folder: Path, port: int, etcd: str) -> list[str]:
    return [
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--etcd-servers={etcd}",
        f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=RBAC",
        f"--client-ca-file={folder}/ca.crt",
        f"--tls-cert-file={folder}/apiserver.crt",
        f"--tls-private-key-file={folder}/apiserver.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder}/sa.pub",
        f"--service-account-signing-key-file={folder}/sa.key",
        "--endpoint-reconciler-type=none",
        "--shutdown-delay-duration=0s",
        f"--audit-policy-file={folder}/audit.yaml",
        f"--audit-log-path={folder}/audit.log",
        "--audit-log-mode=batch",
        "--audit-log-batch-max-wait=200ms",
    ]


def _controller_manager(folder: Path) -> list[str]:
    return [
        f"--root-ca-file={folder}/ca.crt",
        f"--service-account-private-key-file={folder}/sa.key",
        "--use-service-account-credentials=true",
    ]
