"""The fork server and its children, as processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.worker.decode.reading import is_alive
from videofleet_worker.decode.forkserver import ForkServer, receive_exit, receive_pid


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_child_keeps_only_its_own_socket(server: ForkServer) -> None:
    others = [server.fork() for _ in range(3)]
    ours, status = server.fork()
    status.setblocking(True)
    received = receive_pid(status)
    assert received is not None
    pid, pidfd = received

    def descriptors() -> list[int]:
        return sorted(int(name) for name in os.listdir(f"/proc/{pid}/fd"))

    assert within(30, lambda: descriptors() == [0, 1, 2, 3])
    assert {os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)} == {os.devnull}
    os.close(pidfd)
    for one in (ours, status, *(sock for pair in others for sock in pair)):
        one.close()


def test_a_child_ends_when_its_socket_is_closed(server: ForkServer) -> None:
    ours, status = server.fork()
    status.setblocking(True)
    received = receive_pid(status)
    ours.close()

    assert received is not None
    assert receive_exit(status) == 0
    os.close(received[1])
    status.close()


def test_a_childs_signal_is_reported(server: ForkServer) -> None:
    ours, status = server.fork()
    status.setblocking(True)
    received = receive_pid(status)
    assert received is not None
    signal.pidfd_send_signal(received[1], signal.SIGSEGV)

    assert receive_exit(status) == -signal.SIGSEGV
    os.close(received[1])
    ours.close()
    status.close()


def test_children_die_with_the_server_and_the_next_fork_starts_a_new_one() -> None:
    own = ForkServer()
    ours, status = own.fork()
    status.setblocking(True)
    received = receive_pid(status)
    assert received is not None
    assert own.pid is not None
    before = own.pid
    os.kill(before, signal.SIGKILL)

    assert within(30, lambda: not is_alive(received[0]))
    assert receive_exit(status) is None
    again, status_again = own.fork()
    status_again.setblocking(True)
    child = receive_pid(status_again)
    assert child is not None
    assert own.pid != before
    for one in (ours, status, again, status_again):
        one.close()
    for _, pidfd in (received, child):
        os.close(pidfd)
    own.stop()


def test_no_secret_of_the_environment_reaches_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    own = ForkServer()
    own.start()
    environment = Path(f"/proc/{own.pid}/environ").read_bytes()
    own.stop()

    assert b"hunter2" not in environment
    assert b"proxy" not in environment


WORKER = """
import os, signal, sys
from videofleet_worker.decode.forkserver import prepare_forkserver, receive_pid
server = prepare_forkserver()
ours, status = server.fork()
status.setblocking(True)
print(server.pid, receive_pid(status)[0], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_outlives_a_killed_worker() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    worker = subprocess.run(
        [sys.executable, "-c", WORKER], env=environment, capture_output=True, text=True, check=False
    )
    pids = [int(word) for word in worker.stdout.split()]

    assert worker.returncode == -signal.SIGKILL
    assert len(pids) == 2
    assert within(30, lambda: not any(is_alive(pid) for pid in pids))
