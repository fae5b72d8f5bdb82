"""The process behind a session: its number, its end, and how to make it end."""

import asyncio
import contextlib
import mmap
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from videofleet_worker.decode.forkserver import receive_exit, receive_pid
from videofleet_worker.sources.errors import DecoderLostError, Lost


class ChildProcess:
    """Follows a child over its status socket. It is the fork server's child, not ours: there is nothing to wait for."""

    def __init__(self, status: socket.socket, on_exit: Callable[[int | None], None]) -> None:
        """Takes `status` over. `on_exit` gets the exit code, negative for a signal, None when the server is gone."""
        self._status = status
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        self._exited = asyncio.Event()
        self._pidfd: int | None = None
        self._doomed = False
        self.pid: int | None = None
        self._loop.add_reader(status, self._on_readable)

    def kill(self) -> None:
        """End the process at once, or as soon as it is known which it is."""
        self._doomed = True
        if self._pidfd is not None and not self._exited.is_set():
            # By descriptor: the number may belong to another process by now.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def memory(self) -> int:
        """Bytes of its own that the process holds now: frames in the ring not counted; 0 when it is not known."""
        try:
            statm = Path(f"/proc/{self.pid}/statm").read_text().split()
        except OSError:
            return 0
        resident, shared = int(statm[1]), int(statm[2])
        return (resident - shared) * mmap.PAGESIZE

    async def wait(self, seconds: float) -> None:
        """Wait for the end, at most `seconds`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._exited.wait(), seconds)

    def close(self) -> None:
        """Stop following it."""
        self._loop.remove_reader(self._status)
        self._status.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def _on_readable(self) -> None:
        try:
            if self._pidfd is None:
                self._note_pid()
            else:
                self._note_exit(receive_exit(self._status))
        except BlockingIOError:
            return
        except ConnectionResetError:
            self._note_exit(None)

    def _note_pid(self) -> None:
        received = receive_pid(self._status)
        if received is None:
            self._note_exit(None)
            return
        self.pid, self._pidfd = received
        if self._doomed:
            self.kill()

    def _note_exit(self, code: int | None) -> None:
        self._loop.remove_reader(self._status)
        self._exited.set()
        self._on_exit(code)


def crash(code: int | None) -> DecoderLostError:
    """What to say of a child that ended without saying why."""
    if code is None:
        return DecoderLostError(Lost.CRASH, "the decoder is gone: its fork server ended")
    if code < 0:
        return DecoderLostError(Lost.CRASH, f"decoder crashed ({signal.Signals(-code).name})")
    return DecoderLostError(Lost.CRASH, f"the decoder ended without a word (exit code {code})")
