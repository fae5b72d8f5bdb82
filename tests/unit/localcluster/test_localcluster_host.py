"""What is done to the machine and undone again: packet filter rules, mounts, control groups, configuration."""

import json
from pathlib import Path

import pytest

from localcluster import configs, nodekeeper
from localcluster.cgroups import roots
from localcluster.iptables import chains, removal
from localcluster.layout import CGROUP, Layout
from localcluster.mounts import mounts_below
from localcluster.pki import CERTIFICATES, Certificate, extensions

SAVED = """\
*filter
:INPUT ACCEPT [0:0]
:DOCKER-USER - [0:0]
:KUBE-FORWARD - [0:0]
:VIDEOFLEET-FORWARD - [0:0]
-A FORWARD -j VIDEOFLEET-FORWARD
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -j DOCKER-USER
-A KUBE-FORWARD -j ACCEPT
-A VIDEOFLEET-FORWARD -i videofleet0 -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -j REDIRECT --to-ports 15001
COMMIT
"""


def test_removal_takes_our_chains_and_the_jumps_to_them_and_nothing_else() -> None:
    assert removal(SAVED).splitlines() == [
        "*filter",
        "-F KUBE-FORWARD",
        "-F VIDEOFLEET-FORWARD",
        "-D FORWARD -j VIDEOFLEET-FORWARD",
        '-D FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
        "-X KUBE-FORWARD",
        "-X VIDEOFLEET-FORWARD",
        "COMMIT",
    ]


def test_nothing_of_ours_means_nothing_to_do() -> None:
    assert removal("*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j ACCEPT\nCOMMIT\n") == ""


def test_chains_are_named() -> None:
    assert chains(SAVED) == {"KUBE-FORWARD", "VIDEOFLEET-FORWARD"}


def test_mounts_are_found_below_the_directory_only_and_deepest_first() -> None:
    mountinfo = "\n".join(
        f"1 2 0:1 / {point} rw - tmpfs tmpfs rw"
        for point in ("/", "/state", "/state/a/b", "/state/a", "/stateful", "/state/with\\040blank")
    )
    assert mounts_below(mountinfo, Path("/state")) == ["/state/a/b", "/state/a", "/state/with blank", "/state"]


def test_control_groups_of_version_2(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    assert roots(tmp_path) == [tmp_path / CGROUP]


def test_control_groups_of_version_1(tmp_path: Path) -> None:
    for name in ("cpu", "memory", "unrelated"):
        (tmp_path / name).mkdir()
    assert roots(tmp_path) == [tmp_path / "cpu" / CGROUP, tmp_path / "memory" / CGROUP]


def test_containerd_keeps_to_its_own_directories(tmp_path: Path) -> None:
    text = configs.containerd(Layout(tmp_path / "cache", tmp_path / "state", "1.36.3"), "native")
    assert 'snapshotter = "native"' in text
    assert '"/run/containerd' not in text
    assert "/var/lib/containerd" not in text
    # A shim of Debian's containerd on PATH would speak another protocol.
    assert f'runtime_path = "{tmp_path}/cache/kubernetes-1.36.3/bin/containerd-shim-runc-v2"' in text


def test_the_kubelet_neither_evicts_for_a_full_disk_nor_removes_images(tmp_path: Path) -> None:
    config = json.loads(configs.kubelet(Layout(tmp_path, tmp_path, "1.36.3")))
    assert config["imageGCHighThresholdPercent"] == 100
    assert config["evictionHard"]["nodefs.available"] == "0%"


@pytest.mark.parametrize(
    ("resolv_conf", "expected"),
    [
        ("nameserver 10.0.0.2\nsearch x\n", "nameserver 10.0.0.2\n"),
        ("nameserver 127.0.0.53\nnameserver 10.0.0.2\n", "nameserver 10.0.0.2\n"),
        ("nameserver 127.0.0.53\n", "nameserver 10.244.0.1\n"),
        ("", "nameserver 10.244.0.1\n"),
    ],
)
def test_pods_get_name_servers_that_they_can_reach(resolv_conf: str, expected: str) -> None:
    assert configs.pod_resolv_conf(resolv_conf) == expected


def test_without_name_servers_coredns_forwards_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path, "1.36.3")
    assert "forward" not in configs.corefile(layout, [])
    assert "forward . 10.0.0.2 127.0.0.53 {" in configs.corefile(layout, ["10.0.0.2", "127.0.0.53"])


def test_a_node_as_the_kubelet_registers_it_gets_labels_and_gpus() -> None:
    node = {"metadata": {"labels": {"a": "b"}}, "status": {"capacity": {"cpu": "2"}, "allocatable": {"cpu": "2"}}}
    assert nodekeeper.label_patch(node) == {"metadata": {"labels": nodekeeper.GPU_LABELS}}
    amounts = {"nvidia.com/gpu": "4"}
    assert nodekeeper.status_patch(node) == {"status": {"capacity": amounts, "allocatable": amounts}}


def test_a_node_that_is_right_is_left_alone() -> None:
    amounts = {"nvidia.com/gpu": "4"}
    node = {"metadata": {"labels": nodekeeper.GPU_LABELS}, "status": {"capacity": amounts, "allocatable": amounts}}
    assert nodekeeper.label_patch(node) is None
    assert nodekeeper.status_patch(node) is None


def test_a_reset_capacity_is_put_back() -> None:
    node = {"metadata": {}, "status": {"capacity": {"nvidia.com/gpu": "0"}, "allocatable": {"nvidia.com/gpu": "4"}}}
    assert nodekeeper.status_patch(node) == {"status": {"capacity": {"nvidia.com/gpu": "4"}}}


def test_certificates_name_users_and_groups_as_kubernetes_reads_them() -> None:
    subjects = {certificate.name: certificate.subject for certificate in CERTIFICATES}
    assert subjects["kubelet"] == "/O=system:nodes/CN=system:node:videofleet-node"
    assert subjects["scheduler"] == "/CN=system:kube-scheduler"


def test_only_the_front_proxy_has_an_authority_of_its_own() -> None:
    assert {one.name for one in CERTIFICATES if one.authority != "ca"} == {"front-proxy-client"}


def test_served_names_are_in_the_certificate() -> None:
    text = extensions(Certificate("x", "x", alternative_names=("DNS:a", "IP:1.2.3.4"), usage="serverAuth"))
    assert "subjectAltName=DNS:a,IP:1.2.3.4\n" in text
    assert "authorityKeyIdentifier=keyid\n" in text
