"""kind as the cluster: what a person is told where it cannot be had, and the configuration that it is made from."""

from pathlib import Path

import pytest
import yaml

from localcluster.errors import LocalClusterError
from localcluster.kind import CONFIG, KindBackend, why_not_created
from localcluster.layout import Layout


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KindBackend:
    """On a machine without kind, Docker, kubectl and Go."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return KindBackend(Layout(tmp_path, tmp_path / "state", "1.36.3"))


def test_without_kind_or_docker_up_says_what_is_needed(backend: KindBackend) -> None:
    with pytest.raises(LocalClusterError, match="needs kind on PATH and a Docker daemon that answers `docker info`"):
        backend.up()


def test_a_tool_that_can_be_neither_found_nor_built_is_named(backend: KindBackend) -> None:
    with pytest.raises(LocalClusterError, match="helm is not on PATH: install it, or Go"):
        backend.tool("helm")


def test_an_installed_tool_is_taken(backend: KindBackend, tmp_path: Path) -> None:
    installed = tmp_path / "kubectl"
    installed.touch(mode=0o755)
    assert backend.tool("kubectl") == installed


def test_the_reasons_of_a_failed_creation_are_taken_out_of_its_log() -> None:
    log = """\
Creating cluster "videofleet" ...
ERROR: failed to create cluster: failed to init node with kubeadm
error: error execution phase wait-control-plane: could not bootstrap the admin user
main.main
\tk8s.io/kubernetes/cmd/kubeadm/kubeadm.go:25
"""
    first, second, further = why_not_created(log).splitlines()
    assert first == "ERROR: failed to create cluster: failed to init node with kubeadm"
    assert second == "error: error execution phase wait-control-plane: could not bootstrap the admin user"
    assert further.startswith("To look into the node: `kind create cluster --name videofleet")


def test_the_kubelet_of_kind_starts_on_both_versions_of_control_groups() -> None:
    patches = [yaml.safe_load(patch) for patch in yaml.safe_load(CONFIG.read_text())["kubeadmConfigPatches"]]
    assert {"kind": "KubeletConfiguration", "failCgroupV1": False} in patches


def test_a_node_that_has_stopped_is_told_by_status(backend: KindBackend, tmp_path: Path) -> None:
    """As after a restart of the machine: kind still knows the node, Docker does not run it."""
    answers = {
        "kind": 'if [ "$2" = nodes ]; then echo videofleet-control-plane; else echo videofleet; fi',
        "docker": "echo another-container",
    }
    for program, answer in answers.items():
        (tmp_path / program).write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / program).chmod(0o755)
    assert backend.status() == (
        "videofleet-control-plane is stopped; start it again with: python3 -m localcluster up",
        False,
    )
