"""The child's end of the socket to its parent."""

import contextlib
import mmap
import os
import socket

from videofleet_worker.decode.messages import MAX_PACKET, Message, OpenRequest, ParentMessage, parse_parent_message
from videofleet_worker.decode.parcel import packets


class ParentGone(Exception):
    """The parent closed the socket: nobody wants the frames any more."""


class ParentChannel:
    """Blocking messages to the parent, and its answers. Used by one thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def receive_request(self) -> tuple[OpenRequest, socket.socket, mmap.mmap]:
        """Wait for the first message, the socket by which the parent is asked for connections, and the memory for
        frames."""
        packet, descriptors, _, _ = socket.recv_fds(self._socket, MAX_PACKET, 2)
        if len(descriptors) != 2:
            raise ParentGone
        request = OpenRequest.model_validate_json(packet)
        memory = mmap.mmap(descriptors[1], request.frame_memory)
        os.close(descriptors[1])
        return request, socket.socket(fileno=descriptors[0]), memory

    def send(self, message: Message, data: bytes = b"") -> None:
        """Send a message, and bytes that follow it. Raises ParentGone."""
        try:
            self._socket.send(message.model_dump_json().encode())
            for packet in packets(data):
                self._socket.send(packet)
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
