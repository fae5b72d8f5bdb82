"""What ``up`` does about the packet filter rules and ports that it finds, each time in a network of its own."""

from pathlib import Path

from tests.support.ownnetwork import in_own_network

OURS = "iptables -N KUBE-FORWARD; iptables -A FORWARD -j KUBE-FORWARD; iptables -N VIDEOFLEET-FORWARD"
ANOTHERS = "iptables -N KUBE-FORWARD; iptables -A FORWARD -j KUBE-FORWARD"
KUBELET = "import socket; held = socket.create_server(('127.0.0.1', 10248))"


def _look(before: str, tmp_path: Path, meanwhile: str = "") -> str:
    """What is said, and then the chains of a cluster that are left."""
    program = f"""
{meanwhile}
from pathlib import Path
from localcluster.errors import LocalClusterError
from localcluster.layout import Layout
from localcluster.neighbours import refuse_neighbours
try:
    refuse_neighbours(Layout(Path({str(tmp_path)!r}) / "cache", Path({str(tmp_path)!r}) / "state", "1.36.3"))
except LocalClusterError as refused:
    print("refused:", refused)
"""
    return in_own_network(program, before=before, after='iptables-save | grep -o "^:[A-Z]*-[A-Z]*" || true')


def test_an_empty_machine_is_taken_as_it_is(tmp_path: Path) -> None:
    assert _look(":", tmp_path) == ""


def test_the_rules_of_another_kubernetes_are_left_alone(tmp_path: Path) -> None:
    said = _look(ANOTHERS, tmp_path)
    assert said.startswith("refused: another Kubernetes has packet filter rules on this machine (KUBE-FORWARD")
    assert said.endswith(":KUBE-FORWARD\n")


def test_what_a_cluster_of_ours_left_without_a_folder_is_removed(tmp_path: Path) -> None:
    said = _look(OURS, tmp_path)
    assert "removing the network of an earlier local cluster, whose processes and folder are gone" in said
    assert ":KUBE-" not in said


def test_a_cluster_of_ours_that_runs_from_another_folder_is_left_alone(tmp_path: Path) -> None:
    said = _look(OURS, tmp_path, meanwhile=KUBELET)
    assert said.startswith("refused: another Kubernetes has packet filter rules")
    assert ":KUBE-FORWARD" in said


def test_a_taken_port_is_named_with_the_part_that_needs_it(tmp_path: Path) -> None:
    said = _look(":", tmp_path, meanwhile=KUBELET)
    assert said.startswith("refused: kubelet needs 127.0.0.1:10248, which another process holds")
