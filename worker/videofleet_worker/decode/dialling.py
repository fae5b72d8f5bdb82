"""How a decoding child gets its connections: it asks the parent, which looks where the name leads before it goes there.

One JSON document a packet on a socket of its own, answered in order; the descriptors come with the answer.
"""

import socket
import threading
from typing import Annotated, Literal

from pydantic import Field

from videofleet_api.codes import ErrorCode
from videofleet_worker.decode.messages import Message
from videofleet_worker.sources.errors import SourceError

MAX_ASKED = 1024
_MAX_ANSWER = 4096
_MOST_DESCRIPTORS = 2


class Ask(Message):
    """Child to parent.

    tcp: one connected socket. udp-pair: two for RTP and RTCP from a camera, on ports in a row. udp: one for what is
    sent to a group, or to this machine. file: the source's own file, open.
    """

    kind: Literal["tcp", "udp-pair", "udp", "file"]
    scheme: Annotated[str, Field(max_length=16)]
    host: Annotated[str, Field(max_length=255)]
    port: Annotated[int, Field(ge=0, le=65535)]


class Answer(Message):
    """Parent to child: the address that was reached, or (code) why none was."""

    address: str = ""
    code: ErrorCode | None = None
    message: str = ""


class Dialler:
    """The child's side. Safe to use from several threads."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._lock = threading.Lock()

    def connect(self, scheme: str, host: str, port: int) -> tuple[socket.socket, str]:
        """A connected socket, and the address that it is connected to. Raises SourceError."""
        (descriptor,), address = self._ask(Ask(kind="tcp", scheme=scheme, host=host, port=port), 1)
        return socket.socket(fileno=descriptor), address

    def receiver(self, host: str, port: int) -> socket.socket:
        """A datagram socket for what is sent to a group or to this machine. Raises SourceError."""
        (descriptor,), _ = self._ask(Ask(kind="udp", scheme="udp", host=host, port=port), 1)
        return socket.socket(fileno=descriptor)

    def file(self) -> int:
        """A descriptor of the source's own file. Raises SourceError."""
        (descriptor,), _ = self._ask(Ask(kind="file", scheme="file", host="", port=0), 1)
        return descriptor

    def receivers(self, host: str) -> tuple[int, int]:
        """Descriptors of two datagram sockets, the second one's port following the first one's. Raises SourceError."""
        (first, second), _ = self._ask(Ask(kind="udp-pair", scheme="rtsp", host=host, port=0), 2)
        return first, second

    def _ask(self, ask: Ask, descriptors: int) -> tuple[list[int], str]:
        with self._lock:
            self._socket.send(ask.model_dump_json().encode())
            packet, received, _, _ = socket.recv_fds(self._socket, _MAX_ANSWER, _MOST_DESCRIPTORS)
        if not packet:
            raise SourceError(ErrorCode.INTERNAL, "the worker has closed the source")
        answer = Answer.model_validate_json(packet)
        if answer.code is not None:
            raise SourceError(answer.code, answer.message)
        if len(received) != descriptors:
            raise SourceError(ErrorCode.INTERNAL, "the worker sent no connection")
        return list(received), answer.address
