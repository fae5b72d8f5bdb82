"""What a decoding child may ask of the kernel, as a seccomp filter: above all, it reaches no address by itself.

The child's network is what its parent hands over as descriptors. `connect` and `bind` do nothing and say that they
did; datagrams to an address of the child's own choosing, other families of sockets, new processes and programs, other
processes' memory and io_uring (which passes by filters) are refused. A socket that FFmpeg asks for is answered by
`substitution`, or refused.

The filter holds for every thread of the process and whatever code runs in it; it cannot be taken off.
"""

import ctypes
import errno
import os
import platform
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHANNEL: Final = 3
"""The descriptor of the child's socket to its parent: the only one that messages may go out by."""

_ACTIONS: Final = Path("/proc/sys/kernel/seccomp/actions_avail")
_SET_MODE_FILTER: Final = 1
_NEW_LISTENER: Final = 8
_CLONE_THREAD: Final = 0x10000
_X32: Final = 0x40000000

_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_NOTIFY: Final = 0x7FC00000
# Classic BPF: load a word of seccomp_data, compare, return.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE = 0, 4

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Machine:
    """Numbers of system calls. `audit` is what the kernel calls the architecture."""

    audit: int
    calls: Mapping[str, int]


_COMMON: Final = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "clone3": 435,
    "close_range": 436,
    "pidfd_getfd": 438,
}
_MACHINES: Final = {
    "x86_64": Machine(
        0xC000003E,
        {
            **{"close": 3, "dup2": 33, "socket": 41, "connect": 42, "sendto": 44, "sendmsg": 46, "bind": 49},
            **{"listen": 50, "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "ptrace": 101, "dup3": 292},
            **{"sendmmsg": 307, "process_vm_readv": 310, "process_vm_writev": 311, "seccomp": 317, "bpf": 321},
            **{"execveat": 322, "userfaultfd": 323},
            **_COMMON,
        },
    ),
    "aarch64": Machine(
        0xC00000B7,
        {
            **{"dup3": 24, "close": 57, "ptrace": 117, "socket": 198, "bind": 200, "listen": 201, "connect": 203},
            **{"sendto": 206, "sendmsg": 211, "clone": 220, "execve": 221, "sendmmsg": 269},
            **{"process_vm_readv": 270, "process_vm_writev": 271, "seccomp": 277, "bpf": 280, "execveat": 281},
            **{"userfaultfd": 282},
            **_COMMON,
        },
    ),
}
_NEVER: Final = (
    *("fork", "vfork", "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "bpf", "seccomp"),
    *("listen", "sendmmsg"),
    # Nothing else may come to lie where the channel is.
    *("dup2", "dup3", "close_range"),
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
    """Put the filter on this process, for good; needs no_new_privs.

    `notify`: sockets that are asked for are told on the descriptor that this returns, and wait for an answer; else
    they are refused. Raises ConfinementError.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        raise ConfinementError(f"no filter is known for {platform.machine()}")
    code = b"".join(program(machine, notify=notify))
    memory = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: the number of instructions, and where they are.
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(memory)))
    flags = _NEW_LISTENER if notify else 0
    result = _libc.syscall(machine.calls["seccomp"], _SET_MODE_FILTER, flags, head)
    if result < 0:
        raise ConfinementError(os.strerror(ctypes.get_errno()))
    return int(result) if notify else None


def program(machine: Machine, *, notify: bool) -> Iterator[bytes]:
    """The filter's instructions: each call is looked for in turn, what is not named is allowed."""
    yield _load(_ARCHITECTURE)
    yield from _unless(_EQUAL, machine.audit, _refuse(errno.EPERM))
    yield _load(_NUMBER)
    yield from _when(_AT_LEAST, _X32, _refuse(errno.EPERM))
    calls = machine.calls
    for name in _NEVER:
        if name in calls:
            yield from _when(_EQUAL, calls[name], _refuse(errno.EPERM))
    # The C library falls back to clone, whose flags can be seen.
    yield from _when(_EQUAL, calls["clone3"], _refuse(errno.ENOSYS))
    yield from _when(_EQUAL, calls["connect"], _refuse(0))
    yield from _when(_EQUAL, calls["bind"], _refuse(0))
    yield from _call(calls["socket"], _socket(notify=notify))
    yield from _call(calls["clone"], [_load(_low(0)), *_when(_ANY_BIT, _CLONE_THREAD, _return(_ALLOW)), _refuse(1)])
    yield from _call(calls["sendto"], _only_connected())
    yield from _call(calls["sendmsg"], [_load(_low(0)), *_when(_EQUAL, CHANNEL, _return(_ALLOW)), _refuse(1)])
    yield from _call(calls["close"], [_load(_low(0)), *_when(_EQUAL, CHANNEL, _refuse(1)), _return(_ALLOW)])
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


def _return(value: int) -> bytes:
    return struct.pack("HBBI", _RETURN, 0, 0, value)


def _refuse(number: int) -> bytes:
    """An error; 0 is success without any effect."""
    return _return(_ERRNO | number)


def _low(argument: int) -> int:
    """Where the low half of an argument is, both machines being little-endian."""
    return 16 + 8 * argument
