"""Answers what one decoding child asks to be connected to."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

from pydantic import ValidationError

from videofleet_worker.decode.dialling import MAX_ASKED, Answer, Ask
from videofleet_worker.sources.dialer import Dialer
from videofleet_worker.sources.errors import SourceError


class DialService:
    """Owns the parent's end of a child's dialling socket, from `start` to `close`."""

    def __init__(self, dialer: Dialer, timeout: float, open_file: Callable[[], int]) -> None:
        """`open_file` opens the source's own file. Raises SourceError."""
        self._open_file = open_file
        self._dialer = dialer
        self._timeout = timeout
        self._socket, self.child_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to answer; the child's end has been handed over."""
        self.child_end.close()
        self._task = asyncio.get_running_loop().create_task(self._serve())

    async def close(self) -> None:
        """Answer no more."""
        if self._task is not None:
            self._task.cancel()
            # The loop watches the socket until the task has ended; its number must not be another's by then.
            await asyncio.wait([self._task])
        self.child_end.close()
        self._socket.close()

    async def _serve(self) -> None:
        """One question at a time: a child that asks more than it can use waits for itself."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while packet := await loop.sock_recv(self._socket, MAX_ASKED):
                try:
                    ask = Ask.model_validate_json(packet)
                except ValidationError:
                    return
                await self._answer(ask)

    async def _answer(self, ask: Ask) -> None:
        try:
            descriptors, address = await self._dial(ask)
        except SourceError as error:
            self._socket.send(Answer(code=error.code, message=error.message[:1000]).model_dump_json().encode())
            return
        try:
            answer = Answer(address=address).model_dump_json().encode()
            socket.send_fds(self._socket, [answer], descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    async def _dial(self, ask: Ask) -> tuple[list[int], str]:
        match ask.kind:
            case "tcp":
                sock, address = await self._dialer.connect(ask.scheme, ask.host, ask.port, self._timeout)
                return [sock.detach()], address
            case "udp-pair":
                return [each.detach() for each in self._dialer.receivers(ask.host)], ask.host
            case "udp":
                return [self._dialer.receiver(ask.host, ask.port).detach()], ask.host
            case "file":
                # A file system on the network may take its time.
                return [await asyncio.to_thread(self._open_file)], ""
