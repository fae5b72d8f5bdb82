"""Processes are known by number and start time, and only ours are found."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from localcluster.processes import Identity, all_processes, identify, is_alive, parse_stat, send, stop
from localcluster.teardown import remove_shim_socket, shims


def stat_line(pid: int, name: str, state: str, start: int) -> str:
    return f"{pid} ({name}) {state} " + " ".join(["1"] * 18) + f" {start} 0 0\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc with one process, number 42, started at tick 1000."""
    (tmp_path / "42").mkdir()
    (tmp_path / "42" / "stat").write_text(stat_line(42, "kubelet", "S", 1000))
    (tmp_path / "42" / "cmdline").write_bytes(b"kubelet\0--config=x\0")
    (tmp_path / "self").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", ["etcd", "a b", "odd) S 7 (name"])
def test_stat_is_read_whatever_the_name_holds(name: str) -> None:
    assert parse_stat(stat_line(7, name, "R", 12345)) == ("R", 12345)


def test_the_same_number_with_another_start_is_another_process(proc: Path) -> None:
    assert is_alive(Identity(42, 1000), proc)
    assert not is_alive(Identity(42, 999), proc)


def test_no_process_and_no_identity_are_not_alive(proc: Path) -> None:
    assert not is_alive(Identity(43, 1000), proc)
    assert not is_alive(None, proc)


def test_a_zombie_is_not_alive(proc: Path) -> None:
    (proc / "42" / "stat").write_text(stat_line(42, "kubelet", "Z", 1000))
    assert identify(42, proc) is None


def test_all_processes_lists_numbers_only(proc: Path) -> None:
    assert list(all_processes(proc)) == [(Identity(42, 1000), ["kubelet", "--config=x", ""])]


def test_a_process_of_another_start_time_is_never_signalled() -> None:
    me = identify(os.getpid())
    assert me is not None
    stop(Identity(me.pid, me.start_ticks - 1), 0.0)
    assert is_alive(me)


def test_stop_insists_with_a_process_that_ignores_the_request() -> None:
    child = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do read line; done"], stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        identity = identify(child.pid)
        assert identity is not None
        stop(identity, 0.1)
        assert child.wait(30) == -9
    finally:
        child.kill()


def test_signalling_a_process_that_is_gone_does_nothing() -> None:
    child = subprocess.Popen(["true"])
    identity = identify(child.pid)
    child.wait()
    if identity is not None:
        send(identity, signal.SIGKILL)
    assert identify(child.pid) is None


SOCKET = Path("/state/run/containerd.sock")


@pytest.mark.parametrize(
    ("arguments", "ours"),
    [
        (["containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", "a", "-address", str(SOCKET)], True),
        (["renamed", "-address", str(SOCKET)], True),
        (["containerd-shim-runc-v2", "-namespace", "k8s.io", "-address", "/run/containerd/containerd.sock"], False),
        (["grep", str(SOCKET)], False),
        (["tool", "-address"], False),
    ],
)
def test_a_shim_is_ours_by_the_socket_it_serves(arguments: list[str], ours: bool) -> None:
    found = shims(SOCKET, [(Identity(5, 1), arguments)])
    assert found == ([Identity(5, 1)] if ours else [])


@pytest.mark.parametrize("scheme", ["unix://", ""])
def test_the_socket_of_a_killed_shim_is_removed(tmp_path: Path, scheme: str) -> None:
    socket, bundle = tmp_path / "socket", tmp_path / "bundle"
    socket.touch()
    bundle.mkdir()
    remove_shim_socket(bundle)
    assert socket.exists()
    (bundle / "bootstrap.json").write_text(json.dumps({"version": 3, "address": f"{scheme}{socket}"}))
    remove_shim_socket(bundle)
    assert not socket.exists()
