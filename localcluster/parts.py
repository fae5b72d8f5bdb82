"""What runs: every part with its command line, what it waits for and how to see that it is ready."""

import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from localcluster import layout as at
from localcluster.layout import Layout


@dataclass(frozen=True)
class Probe:
    """How to see that a part is ready; ``kind`` is http, https, tcp, unix (a socket that accepts) or process."""

    kind: str
    target: str


@dataclass(frozen=True)
class Part:
    """One supervised process."""

    name: str
    argv: tuple[str, ...]
    after: tuple[str, ...]
    probe: Probe
    cwd: str = "/"

    def to_json(self) -> dict[str, Any]:
        """For the plan file."""
        return asdict(self)


def part_from_json(content: dict[str, Any]) -> Part:
    """The reverse of ``Part.to_json``."""
    return Part(
        name=content["name"],
        argv=tuple(content["argv"]),
        after=tuple(content["after"]),
        probe=Probe(**content["probe"]),
        cwd=content["cwd"],
    )


def _etcd(layout: Layout) -> Part:
    client, peer = f"https://127.0.0.1:{at.ETCD_PORT}", f"http://127.0.0.1:{at.ETCD_PEER_PORT}"
    argv = (
        f"{layout.bin}/etcd",
        "--name=videofleet",
        f"--data-dir={layout.state}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=videofleet={peer}",
        "--client-cert-auth=true",
        f"--trusted-ca-file={layout.pki}/ca.crt",
        f"--cert-file={layout.pki}/etcd.crt",
        f"--key-file={layout.pki}/etcd.key",
        "--log-level=warn",
        # The cluster is thrown away after a power cut (see cluster.py), so syncing every write buys nothing.
        "--unsafe-no-fsync",
    )
    return Part("etcd", argv, (), Probe("tcp", f"127.0.0.1:{at.ETCD_PORT}"))


def _containerd(layout: Layout) -> Part:
    argv = (f"{layout.bin}/containerd", f"--config={layout.config}/containerd.toml", "--log-level=warn")
    return Part("containerd", argv, (), Probe("unix", str(layout.containerd_socket)))


def _api_server(layout: Layout) -> Part:
    pki = layout.pki
    argv = (
        f"{layout.bin}/kube-apiserver",
        f"--bind-address={at.BRIDGE_IP}",
        f"--advertise-address={at.BRIDGE_IP}",
        f"--secure-port={at.API_PORT}",
        f"--etcd-servers=https://127.0.0.1:{at.ETCD_PORT}",
        f"--etcd-cafile={pki}/ca.crt",
        f"--etcd-certfile={pki}/etcd-client.crt",
        f"--etcd-keyfile={pki}/etcd-client.key",
        f"--service-cluster-ip-range={at.SERVICE_CIDR}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--anonymous-auth=true",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--service-account-issuer=https://kubernetes.default.svc.{at.CLUSTER_DOMAIN}",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
        f"--proxy-client-key-file={pki}/front-proxy-client.key",
        "--kubelet-preferred-address-types=InternalIP,Hostname",
        "--allow-privileged=true",
        "--profiling=false",
        # A stopped API server must come back quickly: nobody else takes its place meanwhile.
        "--shutdown-delay-duration=0s",
    )
    return Part("kube-apiserver", argv, ("etcd",), Probe("https", f"{at.BRIDGE_IP}:{at.API_PORT}/readyz"))


def _controller_manager(layout: Layout) -> Part:
    config, pki = f"{layout.config}/controller-manager.kubeconfig", layout.pki
    argv = (
        f"{layout.bin}/kube-controller-manager",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--root-ca-file={pki}/ca.crt",
        f"--service-account-private-key-file={pki}/sa.key",
        "--use-service-account-credentials=true",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--profiling=false",
    )
    return Part("kube-controller-manager", argv, ("kube-apiserver",), Probe("https", "127.0.0.1:10257/healthz"))


def _scheduler(layout: Layout) -> Part:
    config = f"{layout.config}/scheduler.kubeconfig"
    argv = (
        f"{layout.bin}/kube-scheduler",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--profiling=false",
    )
    return Part("kube-scheduler", argv, ("kube-apiserver",), Probe("https", "127.0.0.1:10259/healthz"))


def _kubelet(layout: Layout) -> Part:
    argv = (
        f"{layout.bin}/kubelet",
        f"--config={layout.config}/kubelet.json",
        f"--kubeconfig={layout.config}/kubelet.kubeconfig",
        f"--root-dir={layout.kubelet}",
        f"--cert-dir={layout.kubelet}/pki",
        f"--hostname-override={at.NODE_NAME}",
        f"--node-ip={at.BRIDGE_IP}",
    )
    return Part("kubelet", argv, ("kube-apiserver", "containerd"), Probe("http", "127.0.0.1:10248/healthz"))


def _kube_proxy(layout: Layout) -> Part:
    argv = (f"{layout.bin}/kube-proxy", f"--config={layout.config}/kube-proxy.json")
    # /livez, not /healthz: the latter waits for the node to have been synced, which comes later.
    return Part("kube-proxy", argv, ("kube-apiserver",), Probe("http", "127.0.0.1:10256/livez"))


def _coredns(layout: Layout) -> Part:
    argv = (f"{layout.bin}/coredns", f"-conf={layout.config}/Corefile")
    return Part("coredns", argv, ("kube-apiserver",), Probe("http", f"127.0.0.1:{at.COREDNS_READY_PORT}/ready"))


def _node_keeper(layout: Layout, python: str) -> Part:
    argv = (python, "-m", "localcluster.nodekeeper", str(layout.pki))
    root = str(Path(__file__).resolve().parent.parent)
    return Part("node-keeper", argv, ("kubelet",), Probe("process", ""), cwd=root)


def all_parts(layout: Layout) -> list[Part]:
    """Every part, each after those it needs."""
    # Resolved, so that the plan is the same from inside and outside a virtual environment.
    python = os.path.realpath(sys.executable)
    return [
        _etcd(layout),
        _containerd(layout),
        _api_server(layout),
        _controller_manager(layout),
        _scheduler(layout),
        _kubelet(layout),
        _kube_proxy(layout),
        _coredns(layout),
        _node_keeper(layout, python),
    ]
