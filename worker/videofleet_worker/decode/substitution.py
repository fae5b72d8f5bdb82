"""FFmpeg asks for a socket, and gets one that the parent has connected.

FFmpeg's RTSP and RTMP make sockets of their own and go where the server sends them. Under the filter of `confinement`
each such call waits here. What is given is already connected to the one address that was checked, and connecting it
anywhere else has no effect.
"""

import ctypes
import errno
import struct
from collections.abc import Callable
from typing import Final

from videofleet_worker.decode.confinement import ConfinementError

# struct seccomp_notif and seccomp_notif_resp, and the ioctls that fill and send them.
_ASKED: Final = struct.Struct("<QIIiIQ6Q")
_ANSWER: Final = struct.Struct("<QqiI")
_RECEIVE: Final = 0xC0502100
_SEND: Final = 0xC0182101
_TYPE_MASK: Final = 0xF

Give = Callable[[int], int | None]
"""From a type of socket (SOCK_STREAM, SOCK_DGRAM) to the descriptor to give; None refuses."""

_libc = ctypes.CDLL(None, use_errno=True)


class Substitution:
    """Answers every call of socket() in this process."""

    def __init__(self, listener: int, give: Give) -> None:
        self._listener = listener
        self._give = give

    def serve(self) -> None:
        """For ever, by a thread of its own."""
        while True:
            asked = ctypes.create_string_buffer(_ASKED.size)
            if _libc.ioctl(self._listener, ctypes.c_ulong(_RECEIVE), asked) < 0:
                number = ctypes.get_errno()
                # The one who asked was interrupted, and asks again.
                if number in (errno.EINTR, errno.ENOENT):
                    continue
                raise ConfinementError(f"the kernel tells of no more sockets (errno {number})")
            self._answer(asked.raw)

    def _answer(self, asked: bytes) -> None:
        ticket, _, _, _, _, _, _, kind, *_ = _ASKED.unpack(asked)
        given = self._give(kind & _TYPE_MASK)
        answer = (ticket, 0, -errno.EACCES, 0) if given is None else (ticket, given, 0, 0)
        _libc.ioctl(self._listener, ctypes.c_ulong(_SEND), ctypes.create_string_buffer(_ANSWER.pack(*answer)))
