"""What a decoder that has been taken over can do to its machine and its neighbours: nothing. Each attack is a real
system call of a process that was confined as decoders are."""

import errno
import json
import os
import platform
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from videofleet_worker.decode import landlock
from videofleet_worker.decode.confinement import _MACHINES, available

_CONFINED = """
import ctypes, errno, json, mmap, os, platform, resource, signal, sys, threading
from videofleet_worker.decode.confinement import _MACHINES, confine
from videofleet_worker.decode.limits import limit_memory

neighbour, folder, attacks = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
begin, results = threading.Event(), []

def elsewhere():
    begin.wait()
    try:
        os.fork()
    except OSError as error:
        results.append(error.errno)

older = threading.Thread(target=elsewhere)
older.start()
limit_memory(64 * 2**20)
confine(notify=False)

def call(name, *arguments):
    if libc.syscall(_MACHINES[platform.machine()].calls[name], *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")

def end(attack):
    try:
        exec(attack, globals())
    except BaseException as error:
        return f"{type(error).__name__} {getattr(error, 'errno', '')}".strip()
    return "done"

print(json.dumps({name: end(attack) for name, attack in attacks.items()}), flush=True)
os.abort()
"""

REFUSED = "PermissionError 1"
ATTACKS = {
    "a process": ("os.fork()", REFUSED),
    "a program": ("os.execv('/bin/true', ['true'])", REFUSED),
    "a program by the C library": ("os.posix_spawn('/bin/true', ['true'], {})", REFUSED),
    "a thread": ("threading.Thread(target=print).start()", "RuntimeError"),
    "a process by an older thread": ("begin.set(); older.join(); assert results == [errno.EPERM]", "done"),
    "reading a file": ("open('/etc/passwd').read()", REFUSED),
    "writing a file": ("open(folder + '/new', 'w')", REFUSED),
    "another's environment": ("open('/proc/%d/environ' % neighbour)", REFUSED),
    "deleting a file": ("os.unlink(folder + '/there')", REFUSED),
    "moving a file": ("os.rename(folder + '/there', folder + '/gone')", REFUSED),
    "making a folder": ("os.mkdir(folder + '/new')", REFUSED),
    "emptying a file": ("os.truncate(folder + '/there', 0)", REFUSED),
    "killing another": ("os.kill(neighbour, signal.SIGKILL)", REFUSED),
    "killing all others": ("os.kill(-1, signal.SIGKILL)", REFUSED),
    "stopping its parent": ("os.kill(os.getppid(), signal.SIGSTOP)", REFUSED),
    "a handle of another": ("os.pidfd_open(neighbour)", REFUSED),
    "tracing another": ("call('ptrace', 16, neighbour, 0, 0)", REFUSED),
    "another's limits": ("resource.prlimit(neighbour, resource.RLIMIT_NOFILE, (0, 0))", REFUSED),
    "another's priority": ("os.setpriority(os.PRIO_PROCESS, neighbour, 19)", REFUSED),
    "another's processors": ("os.sched_setaffinity(neighbour, {0})", REFUSED),
    "io_uring": ("call('io_uring_setup', 8, 0)", REFUSED),
    "bpf": ("call('bpf', 0, 0, 0)", REFUSED),
    "a user namespace": ("call('unshare', 0x10000000)", REFUSED),
    "memory of a file": ("os.memfd_create('x')", REFUSED),
    "shared memory that stays": ("call('shmget', 0, 2**20, 0o1600)", REFUSED),
    "shared memory of nobody": ("mmap.mmap(-1, 2**20)", REFUSED),
    "memory of its own": ("mmap.mmap(-1, 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)", "done"),
    "as much memory as it may have": ("bytearray(60 * 2**20)", "done"),
    "more memory than it may have": ("bytearray(120 * 2**20)", "MemoryError"),
    "descriptors without end": ("[os.dup(0) for _ in range(200)]", "OSError 24"),
}


@dataclass(frozen=True)
class Fought:
    """What became of the attacks, of the process that made them, of its neighbour, and of a folder with one file."""

    ends: dict[str, str]
    status: int
    neighbour_lives: bool
    files: dict[str, str]


@pytest.fixture(scope="module")
def fought(tmp_path_factory: pytest.TempPathFactory) -> Fought:
    """All attacks, one after the other."""
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "there").write_text("kept")
    attacks = json.dumps({name: attack for name, (attack, _) in ATTACKS.items()})
    with subprocess.Popen(["sleep", "600"]) as neighbour:
        done = _python(_CONFINED, str(neighbour.pid), str(folder), attacks)
        lives = neighbour.poll() is None
        neighbour.kill()
    files = {path.name: path.read_text() for path in folder.iterdir()}
    return Fought(json.loads(done.stdout), done.returncode, lives, files)


def _python(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


_EACH_CALL = """
import ctypes, errno, json, mmap, os, platform, sys
from videofleet_worker.decode.confinement import _MACHINES, _NEVER, confine

libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
calls = _MACHINES[platform.machine()].calls
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
confine(notify=False)

def ends(number):
    # Arguments that lead nowhere: what is let through fails otherwise, or does nothing.
    return ctypes.get_errno() if libc.syscall(number, -1, -1, -1, -1, -1, -1) < 0 else 0

told = {name: ends(calls[name]) for name in (*_NEVER, "clone3") if name in calls}
if platform.machine() == "x86_64":
    told["fork as of x32"] = ends(0x40000000 | calls["fork"])
    # mov eax, 2 (fork, as 32-bit programs call it); int 0x80; ret
    code.write(bytes([0xB8, 2, 0, 0, 0, 0xCD, 0x80, 0xC3]))
    print(json.dumps(told), flush=True)
    done = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    os._exit(0 if done == -errno.EPERM else 7)
print(json.dumps(told), flush=True)
"""


def test_each_call_that_is_on_the_list_is_refused_however_it_is_made() -> None:
    done = _python(_EACH_CALL)
    told = json.loads(done.stdout)
    assert told.pop("clone3") == errno.ENOSYS, "as on a kernel without it, so that the C library asks for clone"
    assert {"execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "io_uring_enter"} <= told.keys() or (
        platform.machine() != "x86_64"
    )
    assert {name for name, number in told.items() if number != errno.EPERM} == set()
    # A kernel that runs no programs of 32 bits kills who calls it so.
    assert done.returncode in (0, -signal.SIGSEGV), done.stderr


@pytest.mark.parametrize("name", ATTACKS)
def test_how_an_attack_ends(fought: Fought, name: str) -> None:
    assert fought.ends[name] == ATTACKS[name][1]


def test_nobody_else_was_hurt(fought: Fought) -> None:
    assert fought.neighbour_lives
    assert fought.files == {"there": "kept"}


def test_a_process_may_still_end_itself(fought: Fought) -> None:
    assert fought.status == -signal.SIGABRT


def test_no_call_has_the_number_of_another() -> None:
    for machine in _MACHINES.values():
        assert len(set(machine.calls.values())) == len(machine.calls)


def test_this_machine_confines_decoders() -> None:
    assert available() is (platform.machine() in _MACHINES)


@pytest.mark.parametrize(
    ("version", "size"), [(1, 8), (3, 8), (4, 16), (5, 16), (6, 24), (7, 24), (99, 24)], ids=lambda value: str(value)
)
def test_rules_of_landlock_are_as_long_as_its_version_knows_them(version: int, size: int) -> None:
    assert len(landlock.ruleset(version)) == size


_RENOUNCED = """
import ctypes, errno, os, socket, sys
from videofleet_worker.decode import landlock

kept = os.open(sys.argv[1], os.O_RDONLY)
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
print(landlock.renounce())
for path in (sys.argv[1], "/etc/passwd", "/"):
    try:
        os.open(path, os.O_RDONLY)
    except PermissionError as error:
        print(error.errno == errno.EACCES)
    else:
        print(False)
print(os.read(kept, 4))
"""


def test_landlock_leaves_what_is_open(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    done = _python(_RENOUNCED, str(file))
    there = landlock.version() > 0
    assert done.stdout.split() == [str(there)] * 4 + ["b'kept'"], done.stderr
