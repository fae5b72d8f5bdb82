"""Senders of datagrams that go on until a test is over."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Seven packets of a transport stream, which fit into a frame of Ethernet.
PIECE = 7 * 188

Send = Callable[[socket.socket, threading.Event], None]


def in_pieces(content: bytes) -> list[bytes]:
    """A transport stream as it is sent."""
    return [content[start : start + PIECE] for start in range(0, len(content), PIECE)]


@contextmanager
def sending(send: Send) -> Iterator[None]:
    """`send` is called again and again, with a socket and the event that ends it, while the block runs."""
    over = threading.Event()

    def run() -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            while not over.is_set():
                send(sender, over)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
