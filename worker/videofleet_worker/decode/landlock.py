"""Landlock, where the kernel has it: a second lock behind the filter of `confinement`.

A process gets a set of rules that names every access the kernel can govern, and allows none: no file below any path,
no port, and no process outside the set can be sent a signal. Descriptors that are open, or are handed over, go on
working.
"""

import ctypes
import os
import struct
from typing import Final

_CREATE: Final = 444
_RESTRICT: Final = 446
_TELL_VERSION: Final = 1
# What each version of the interface can govern: accesses to files, to ports, and scopes.
_FILES: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_PORTS: Final = 0b11
_SCOPES: Final = 0b11
_PORTS_SINCE: Final = 4
_SCOPES_SINCE: Final = 6

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Of the kernel's interface; 0 where it has none, or it is switched off."""
    return max(0, int(_libc.syscall(_CREATE, None, ctypes.c_size_t(0), _TELL_VERSION)))


def renounce() -> bool:
    """Take from this thread, and from those that it starts, whatever the kernel can govern; whether it could.

    Needs no_new_privs. Raises OSError where the kernel has Landlock and still refuses.
    """
    there = version()
    if there == 0:
        return False
    rules = ruleset(there)
    descriptor = _checked(_libc.syscall(_CREATE, ctypes.create_string_buffer(rules), ctypes.c_size_t(len(rules)), 0))
    try:
        _checked(_libc.syscall(_RESTRICT, descriptor, 0))
    finally:
        os.close(descriptor)
    return True


def ruleset(version: int) -> bytes:
    """struct landlock_ruleset_attr, as long as that version knows it."""
    files = (1 << _FILES[min(version, max(_FILES))]) - 1
    fields = [files]
    if version >= _PORTS_SINCE:
        fields.append(_PORTS)
    if version >= _SCOPES_SINCE:
        fields.append(_SCOPES)
    return struct.pack(f"={len(fields)}Q", *fields)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
