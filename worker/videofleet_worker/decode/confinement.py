"""What a decoding child may ask of the kernel, as a seccomp filter: it reaches no address, opens no file and begins
no process or thread by itself.

The child's network and its file are what its parent hands over as descriptors. `connect` and `bind` do nothing and say
that they did. Refused are: datagrams to an address of the child's own choosing and other families of sockets; opening
and changing files; new processes, programs and threads; other processes, their memory, limits and signals; memory that
no limit counts (of files, shared, of the kernel); io_uring, which passes by filters. A socket that FFmpeg asks for is
answered by `substitution`, or refused.

The filter holds for every thread of the process and whatever code runs in it; it cannot be taken off.
"""

import ctypes
import errno
import mmap
import os
import platform
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ACTIONS: Final = Path("/proc/sys/kernel/seccomp/actions_avail")
_SET_MODE_FILTER: Final = 1
# For all threads, whose states must not differ; and an error of that is told as one where a listener is wanted too.
_ALL_THREADS: Final = 1
_NEW_LISTENER: Final = 8
_TELL_ERROR: Final = 16
_X32: Final = 0x40000000

_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_NOTIFY: Final = 0x7FC00000
# Classic BPF: load a word of seccomp_data, compare, return.
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Machine:
    """Numbers of system calls. `audit` is what the kernel calls the architecture."""

    audit: int
    calls: Mapping[str, int]


_COMMON: Final = {
    **{"pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427},
    **{"open_tree": 428, "pidfd_open": 434, "clone3": 435, "openat2": 437, "pidfd_getfd": 438, "process_madvise": 440},
    **{"memfd_secret": 447, "process_mrelease": 448, "fchmodat2": 452},
}
_MACHINES: Final = {
    "x86_64": Machine(
        0xC000003E,
        {
            **{"open": 2, "mmap": 9, "shmget": 29, "shmat": 30, "socket": 41, "connect": 42, "sendto": 44},
            **{"sendmsg": 46, "bind": 49, "listen": 50, "clone": 56, "fork": 57, "vfork": 58, "execve": 59},
            **{"kill": 62, "semget": 64, "msgget": 68, "truncate": 76, "rename": 82, "mkdir": 83, "rmdir": 84},
            **{"creat": 85, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90, "chown": 92, "lchown": 94},
            **{"ptrace": 101, "rt_sigqueueinfo": 129, "mknod": 133, "setpriority": 141, "sched_setparam": 142},
            **{"sched_setscheduler": 144, "tkill": 200, "sched_setaffinity": 203, "tgkill": 234, "mq_open": 240},
            **{"add_key": 248, "request_key": 249, "keyctl": 250, "ioprio_set": 251, "migrate_pages": 256},
            **{"openat": 257, "mkdirat": 258, "mknodat": 259, "fchownat": 260, "unlinkat": 263, "renameat": 264},
            **{"linkat": 265, "symlinkat": 266, "fchmodat": 268, "unshare": 272, "move_pages": 279},
            **{"rt_tgsigqueueinfo": 297, "perf_event_open": 298, "prlimit64": 302, "open_by_handle_at": 304},
            **{"sendmmsg": 307, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312},
            **{"sched_setattr": 314, "renameat2": 316, "seccomp": 317, "memfd_create": 319, "bpf": 321},
            **{"execveat": 322, "userfaultfd": 323},
            **_COMMON,
        },
    ),
    "aarch64": Machine(
        0xC00000B7,
        {
            **{"ioprio_set": 30, "mknodat": 33, "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37},
            **{"renameat": 38, "truncate": 45, "fchmodat": 53, "fchownat": 54, "openat": 56, "unshare": 97},
            **{"ptrace": 117, "sched_setparam": 118, "sched_setscheduler": 119, "sched_setaffinity": 122},
            **{"kill": 129, "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138, "setpriority": 140, "mq_open": 180},
            **{"msgget": 186, "semget": 190, "shmget": 194, "shmat": 196, "socket": 198, "bind": 200, "listen": 201},
            **{"connect": 203, "sendto": 206, "sendmsg": 211, "add_key": 217, "request_key": 218, "keyctl": 219},
            **{"clone": 220, "execve": 221, "mmap": 222, "migrate_pages": 238, "move_pages": 239},
            **{"rt_tgsigqueueinfo": 240, "perf_event_open": 241, "prlimit64": 261, "open_by_handle_at": 265},
            **{"setns": 268, "sendmmsg": 269, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272},
            **{"sched_setattr": 274, "renameat2": 276, "seccomp": 277, "memfd_create": 279, "bpf": 280},
            **{"execveat": 281, "userfaultfd": 282},
            **_COMMON,
        },
    ),
}
_NEVER: Final = (
    # Files: what is needed of them has been opened.
    *("open", "openat", "openat2", "creat", "open_by_handle_at", "open_tree", "truncate", "mkdir", "mkdirat", "rmdir"),
    *("unlink", "unlinkat", "link", "linkat", "symlink", "symlinkat", "rename", "renameat", "renameat2", "mknod"),
    *("mknodat", "chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat"),
    # Processes, programs, threads.
    *("fork", "vfork", "clone", "execve", "execveat", "unshare", "setns"),
    # Other processes, which have the same user.
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "pidfd_open"),
    *("pidfd_getfd", "pidfd_send_signal", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "kcmp", "migrate_pages"),
    *("move_pages", "setpriority", "ioprio_set", "sched_setaffinity", "sched_setscheduler", "sched_setparam"),
    *("sched_setattr",),
    # Memory that is not the process's own, or outlives it.
    *("memfd_create", "memfd_secret", "shmget", "shmat", "semget", "msgget", "mq_open", "add_key", "request_key"),
    *("keyctl",),
    # The kernel's wide doors.
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "bpf", "seccomp", "perf_event_open"),
    *("listen", "sendmsg", "sendmmsg"),
)


class ConfinementError(Exception):
    """The kernel does not take the filter."""


def available() -> bool:
    """Whether this machine can confine decoders."""
    try:
        actions = _ACTIONS.read_text(encoding="ascii").split()
    except OSError:
        return False
    return platform.machine() in _MACHINES and {"errno", "user_notif"} <= set(actions)


def confine(*, notify: bool) -> int | None:
    """Put the filter on all threads of this process, for good; needs no_new_privs.

    `notify`: sockets that are asked for are told on the descriptor that this returns, and wait for an answer; else
    they are refused. Raises ConfinementError.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        raise ConfinementError(f"no filter is known for {platform.machine()}")
    code = b"".join(program(machine, os.getpid(), notify=notify))
    memory = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: the number of instructions, and where they are.
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(memory)))
    flags = _ALL_THREADS | (_NEW_LISTENER | _TELL_ERROR if notify else 0)
    result = _libc.syscall(machine.calls["seccomp"], _SET_MODE_FILTER, flags, head)
    if result < 0:
        raise ConfinementError(os.strerror(ctypes.get_errno()))
    return int(result) if notify else None


def program(machine: Machine, pid: int, *, notify: bool) -> Iterator[bytes]:
    """The filter's instructions: each call is looked for in turn, what is not named is allowed. `pid`: the process."""
    yield _load(_ARCHITECTURE)
    yield from _unless(_EQUAL, machine.audit, _refuse(errno.EPERM))
    yield _load(_NUMBER)
    yield from _when(_AT_LEAST, _X32, _refuse(errno.EPERM))
    calls = machine.calls
    for name in _NEVER:
        if name in calls:
            yield from _when(_EQUAL, calls[name], _refuse(errno.EPERM))
    # The C library falls back to clone, and says then that there is no thread to be had.
    yield from _when(_EQUAL, calls["clone3"], _refuse(errno.ENOSYS))
    yield from _when(_EQUAL, calls["connect"], _refuse(0))
    yield from _when(_EQUAL, calls["bind"], _refuse(0))
    yield from _call(calls["socket"], _socket(notify=notify))
    yield from _call(calls["sendto"], _only_connected())
    # A process may end itself; its limits are its own, which get no higher.
    yield from _call(calls["kill"], _only_on(pid))
    yield from _call(calls["tgkill"], _only_on(pid))
    yield from _call(calls["prlimit64"], _only_on(0))
    yield from _call(calls["mmap"], _no_shared_memory())
    yield _return(_ALLOW)


def _socket(*, notify: bool) -> list[bytes]:
    internet = _return(_NOTIFY) if notify else _refuse(errno.EACCES)
    return [
        _load(_low(0)),
        *_when(_EQUAL, socket.AF_INET, internet),
        *_when(_EQUAL, socket.AF_INET6, internet),
        _refuse(errno.EAFNOSUPPORT),
    ]


def _only_connected() -> list[bytes]:
    """Sending is allowed without an address only: the word's both halves must be 0."""
    refused = _refuse(errno.EPERM)
    return [
        *(_load(_low(4)), *_unless(_EQUAL, 0, refused)),
        *(_load(_low(4) + 4), *_unless(_EQUAL, 0, refused)),
        _return(_ALLOW),
    ]


def _only_on(process: int) -> list[bytes]:
    return [_load(_low(0)), *_when(_EQUAL, process, _return(_ALLOW)), _refuse(errno.EPERM)]


def _no_shared_memory() -> list[bytes]:
    """Of files handed over it may be: what is shared without one counts against no limit of a process."""
    shared = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS
    return [_load(_low(3)), _mask(shared), *_when(_EQUAL, shared, _refuse(errno.EPERM)), _return(_ALLOW)]


def _call(number: int, body: list[bytes]) -> Iterator[bytes]:
    """`body`, which ends with a return, for one call."""
    yield _jump(_EQUAL, number, 0, len(body))
    yield from body


def _when(test: int, value: int, then: bytes) -> Iterator[bytes]:
    yield _jump(test, value, 0, 1)
    yield then


def _unless(test: int, value: int, then: bytes) -> Iterator[bytes]:
    yield _jump(test, value, 1, 0)
    yield then


def _jump(test: int, value: int, held: int, failed: int) -> bytes:
    return struct.pack("HBBI", test, held, failed, value)


def _load(offset: int) -> bytes:
    return struct.pack("HBBI", _LOAD, 0, 0, offset)


def _mask(bits: int) -> bytes:
    return struct.pack("HBBI", _AND, 0, 0, bits)


def _return(value: int) -> bytes:
    return struct.pack("HBBI", _RETURN, 0, 0, value)


def _refuse(number: int) -> bytes:
    """An error; 0 is success without any effect."""
    return _return(_ERRNO | number)


def _low(argument: int) -> int:
    """Where the low half of an argument is, both machines being little-endian."""
    return 16 + 8 * argument
