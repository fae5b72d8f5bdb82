"""How the program takes its arguments, and how it refuses them."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from kubectl_videojob.app import run


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Ran = Callable[[str], Ended]


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Runs a command line, without a cluster unless it names one."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("KUBECONFIG", "/none/at/all")
    monkeypatch.delenv("VIDEOFLEET_OPERATOR", raising=False)

    def run_it(line: str) -> Ended:
        code = run(line.split())
        return Ended(code, *capsys.readouterr())

    return run_it


@pytest.fixture
def kubeconfig(tmp_path: Path) -> str:
    """Leads to a port of this machine where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{taken.getsockname()[1]}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "constant"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "site"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return str(path)


@pytest.mark.parametrize("command", ["explain", "tail", "top", "drain", "submit", "license show", "license install"])
def test_every_command_takes_kubectls_flags(ran: Ran, command: str) -> None:
    told = ran(f"{command} --help")
    assert told.code == 0
    missing = [flag for flag in ("--namespace", "--context", "--kubeconfig", "--operator") if flag not in told.out]
    assert not missing


def test_a_dry_run_needs_no_cluster(ran: Ran) -> None:
    told = ran("submit rtsp://camera.example/1 --name camera --single-pass --dry-run")
    assert told.code == 0
    assert yaml.safe_load(told.out) == {
        "apiVersion": "videofleet.io/v1alpha1",
        "kind": "VideoJob",
        "metadata": {"name": "camera"},
        "spec": {
            "source": {"url": "rtsp://camera.example/1"},
            "analytics": [{"steps": [{"model": "detect"}, {"model": "track"}]}],
            "singlePass": True,
        },
    }


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("submit rtsp://x/1 --slots 0 --dry-run", 1, "spec.slots: Input should be greater than or equal to 1"),
        ("submit rtsp://x/1 --sampling often --dry-run", 1, "--sampling often: give all, keyframe, fps=NUMBER"),
        ("submit rtsp://x/1 --label site --dry-run", 1, "--label site: give KEY=VALUE"),
        ("submit clip.mp4 --dry-run", 1, "clip.mp4: give an address such as rtsp://HOST/PATH"),
        ("explain", 2, "Missing argument"),
        ("top sideways", 2, "sideways"),
        ("explain camera", 1, "no usable kubeconfig"),
        ("drain default-0-0 --undo --wait", 1, "--undo and --wait exclude each other"),
        ("license install /none/licence.json", 1, "/none/licence.json cannot be read: No such file or directory"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(ran: Ran, line: str, code: int, message: str) -> None:
    told = ran(line)
    assert told.code == code
    assert message in told.err


def test_a_licence_that_is_none(ran: Ran, tmp_path: Path) -> None:
    path = tmp_path / "licence.json"
    path.write_text("{}")
    told = ran(f"license install {path}")
    assert told.code == 1
    assert "holds no signed licence" in told.err


def test_a_context_that_is_not_there(ran: Ran, kubeconfig: str) -> None:
    told = ran(f"explain camera --kubeconfig {kubeconfig} --context elsewhere")
    assert told.code == 1
    assert "elsewhere" in told.err


def test_a_server_that_is_away(ran: Ran, kubeconfig: str) -> None:
    told = ran(f"explain camera --kubeconfig {kubeconfig}")
    assert told.code == 1
    assert "cannot be reached" in told.err
    assert len(told.err.splitlines()) == 1
