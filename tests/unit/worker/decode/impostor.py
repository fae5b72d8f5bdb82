"""A child that is the test itself, so that it can say what no decoder of ours says, and when."""

import json
import socket
from collections.abc import Callable

from videofleet_worker.decode.forkserver import ForkServer
from videofleet_worker.decode.ring import RingLayout

Say = Callable[[socket.socket], None]

LAYOUT = RingLayout(64, 48, 32, 24, 4)
OPENED = b'{"type":"opened","live":false,"fps":10.0,"width":64,"height":48,"codec":"x","total_frames":null}'
OPENED_LIVE = OPENED.replace(b"false", b"true")
RING = b'{"type":"ring","number":0,"width":64,"height":48}'
HUGE_RING = b'{"type":"ring","number":0,"width":8192,"height":8192}'


class Impostor(ForkServer):
    """Hands out one child, which says what `say` sends and then dies, or (`lives`) goes on until it is closed."""

    def __init__(self, say: Say, *, lives: bool = False) -> None:
        super().__init__()
        self._say = say
        self._lives = lives
        self.child, self._given = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def fork(self) -> tuple[socket.socket, socket.socket]:
        status, self._status = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._given.setblocking(False)
        status.setblocking(False)
        self._say(self.child)
        if not self._lives:
            self._status.close()
        return self._given, status

    def close(self) -> None:
        """End the child."""
        self.child.close()
        self._status.close()

    def freed(self) -> list[int]:
        """The slots that the parent has freed until now."""
        self.child.setblocking(False)
        slots: list[int] = []
        while True:
            try:
                message = json.loads(self.child.recv(65_536))
            except BlockingIOError:
                return slots
            if message["type"] == "free":
                slots += message["slots"]


def plainly(*packets: bytes) -> Say:
    """Says these packets and nothing else."""

    def say(sock: socket.socket) -> None:
        for packet in packets:
            sock.send(packet)

    return say


def with_ring(*packets: bytes, opened: bytes = OPENED) -> Say:
    """Says these packets after a regular opening, for frames of LAYOUT."""
    return plainly(opened, RING, *packets)


def frame_packet(slot: int, index: int, pts: str, taken: float = 1.0) -> bytes:
    """The packet of a frame; `pts` as it stands in the JSON."""
    return (
        f'{{"type":"frame","ring":0,"slot":{slot},"index":{index},"pts":{pts},"capture_time":1.0,"taken":{taken},'
        '"arrival":1.0,"keyframe":true,"full_range":false,"matrix":"bt601","masks":0}'
    ).encode()
