"""The command line, the directories and the choice between the two kinds of cluster."""

from pathlib import Path

import pytest

from localcluster.backends import LocalBackend, choose
from localcluster.cli import key_value, main, parser
from localcluster.errors import LocalClusterError
from localcluster.layout import Layout, cache_dir, current_layout, kubernetes_version, state_dir


def test_every_command_is_known() -> None:
    for command in ("up", "down", "status", "kubeconfig", "kubectl", "helm"):
        assert parser().parse_args([command]).command == command


def test_a_program_that_does_not_exist_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOFLEET_CLUSTER", "local")
    assert main(["program", "kubeadm"]) == 1
    assert "there is no program kubeadm; there are kube-apiserver," in capsys.readouterr().err


def test_build_arguments_are_collected_as_pairs() -> None:
    words = [
        "build-image",
        "localhost/a:1",
        "--file",
        "F",
        "--context",
        "C",
        "--build-arg",
        "A=1",
        "--build-arg",
        "B=x=y",
    ]
    arguments = parser().parse_args(words)
    assert (arguments.file, arguments.context) == (Path("F"), Path("C"))
    assert dict(arguments.build_arg) == {"A": "1", "B": "x=y"}


@pytest.mark.parametrize("text", ["novalue", "=value"])
def test_a_build_argument_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="is not KEY=VALUE"):
        key_value(text)


def test_an_expected_error_is_one_sentence_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIDEOFLEET_CLUSTER", "local")
    monkeypatch.setenv("VIDEOFLEET_LOCALCLUSTER_DIR", "/var/lib/videofleet-absent")
    assert main(["kubeconfig"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == ("localcluster kubeconfig: there is no cluster; bring it up with: python3 -m localcluster up\n")


def test_status_without_a_cluster_says_so_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIDEOFLEET_CLUSTER", "local")
    monkeypatch.setenv("VIDEOFLEET_LOCALCLUSTER_DIR", "/var/lib/videofleet-absent")
    assert main(["status"]) == 1
    assert "no cluster in /var/lib/videofleet-absent" in capsys.readouterr().out


def test_an_unknown_kind_of_cluster_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalClusterError, match="VIDEOFLEET_CLUSTER=minikube: use local, kind or auto"):
        choose({"VIDEOFLEET_CLUSTER": "minikube"}, Layout(tmp_path, tmp_path, "1.0.0"))


def test_local_can_be_asked_for(tmp_path: Path) -> None:
    assert isinstance(choose({"VIDEOFLEET_CLUSTER": "local"}, Layout(tmp_path, tmp_path, "1.0.0")), LocalBackend)


def test_cache_follows_xdg() -> None:
    assert cache_dir({"HOME": "/h"}) == Path("/h/.cache/videofleet")
    assert cache_dir({"HOME": "/h", "XDG_CACHE_HOME": "/c"}) == Path("/c/videofleet")


@pytest.mark.parametrize("path", ["relative/path", "/" + "x" * 80])
def test_a_state_directory_that_cannot_hold_sockets_is_refused(path: str) -> None:
    with pytest.raises(LocalClusterError, match="absolute path of at most 70 characters"):
        state_dir({"VIDEOFLEET_LOCALCLUSTER_DIR": path})


def test_state_directory_default_and_override() -> None:
    assert state_dir({}) == Path("/var/lib/videofleet-localcluster")
    assert state_dir({"VIDEOFLEET_LOCALCLUSTER_DIR": "/srv/c"}) == Path("/srv/c")


@pytest.mark.parametrize(
    "go_mod",
    [
        "require k8s.io/kubernetes v1.36.3\n",
        "require (\n\tk8s.io/api v0.36.3\n\tk8s.io/kubernetes v1.36.3 // indirect\n)\n",
    ],
)
def test_the_release_comes_from_go_mod(go_mod: str) -> None:
    assert kubernetes_version(go_mod) == "1.36.3"


def test_a_go_mod_without_kubernetes_is_told() -> None:
    with pytest.raises(LocalClusterError, match=r"does not require k8s\.io/kubernetes"):
        kubernetes_version("module x\n")


def test_the_committed_go_mod_decides_where_programs_lie() -> None:
    layout = current_layout({"HOME": "/h"})
    assert layout.bin == Path(f"/h/.cache/videofleet/kubernetes-{layout.version}/bin")
