"""The child's end of the socket to its parent."""

import array
import contextlib
import socket

from videofleet_worker.decode.messages import MAX_PACKET, Message, OpenRequest, ParentMessage, parse_parent_message


class ParentGone(Exception):
    """The parent closed the socket: nobody wants the frames any more."""


class ParentChannel:
    """Blocking messages to the parent, and its answers. Used by one thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def receive_request(self) -> tuple[OpenRequest, socket.socket]:
        """Wait for the first message, and the socket by which the parent is asked for connections."""
        packet, descriptors, _, _ = socket.recv_fds(self._socket, MAX_PACKET, 1)
        if not descriptors:
            raise ParentGone
        return OpenRequest.model_validate_json(packet), socket.socket(fileno=descriptors[0])

    def send(self, message: Message, fd: int | None = None) -> None:
        """Send a message, with a descriptor attached when one is given. Raises ParentGone."""
        ancillary = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        try:
            self._socket.sendmsg([message.model_dump_json().encode()], ancillary)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ParentGone from error

    def wait(self) -> ParentMessage:
        """Wait until the parent says something. Raises ParentGone."""
        return parse_parent_message(self._receive(0))

    def poll(self) -> list[ParentMessage]:
        """What the parent has said since the last call, without waiting. Raises ParentGone."""
        said: list[ParentMessage] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                said.append(parse_parent_message(self._receive(socket.MSG_DONTWAIT)))
        return said

    def _receive(self, flags: int) -> bytes:
        try:
            packet = self._socket.recv(MAX_PACKET, flags)
        except ConnectionResetError as error:
            raise ParentGone from error
        if not packet:
            raise ParentGone
        return packet
