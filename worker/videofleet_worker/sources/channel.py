"""The socket between this process and one decoding child."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Final

from pydantic import BaseModel

from videofleet_worker.decode.messages import MAX_PACKET, ChildMessage
from videofleet_worker.sources.inbox import Inbox

# Packets handled before the event loop gets its turn again.
_BURST: Final = 32


class ChildChannel:
    """Hands on what the child says, in order, and says to it what it is to know.

    `on_word` is called with every packet, `on_message` with each message and the bytes that followed it, `on_nonsense`
    where the child sent what it must not send (`on_message` raises ValueError for that): nothing comes after it.
    """

    def __init__(
        self,
        end: socket.socket,
        on_word: Callable[[], None],
        on_message: Callable[[ChildMessage, bytes], None],
        on_nonsense: Callable[[], None],
    ) -> None:
        self._socket = end
        self._on_word = on_word
        self._on_message = on_message
        self._on_nonsense = on_nonsense
        self._inbox = Inbox()
        self._listening = True
        self._loop = asyncio.get_running_loop()

    def open(self, request: BaseModel, files: Sequence[int]) -> None:
        """Listen, and say the first thing, with open files. A child that has ended already is heard of otherwise."""
        self._loop.add_reader(self._socket, self._on_readable)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._socket, [request.model_dump_json().encode()], files)

    def say(self, message: BaseModel) -> None:
        """From any thread. Raises OSError where the child has ended, does not read, or the channel is closed."""
        self._socket.send(message.model_dump_json().encode())

    def receive(self) -> bool:
        """Handle one packet; whether there may be more."""
        if not self._listening:
            return False
        try:
            packet = self._socket.recv(MAX_PACKET)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            # It ended with messages of ours unread. The kernel says so once, ahead of what it had sent before.
            return True
        if not packet:
            self.stop()
            return False
        self._on_word()
        try:
            whole = self._inbox.put(packet)
            if whole is not None:
                self._on_message(*whole)
        except ValueError:
            # Not the text of the error: it quotes what the child sent.
            self.stop()
            self._on_nonsense()
            return False
        return True

    def _on_readable(self) -> None:
        for _ in range(_BURST):
            if not self.receive():
                return

    def stop(self) -> None:
        """Listen no more."""
        self._listening = False
        self._loop.remove_reader(self._socket)

    def hang_up(self) -> None:
        """Have the child hear that this is over."""
        self.stop()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()
