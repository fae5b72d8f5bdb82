"""Sources that are wrong, as bytes and as servers: what tests of decoding and of whole workers share."""

import io
import itertools
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from PIL import Image

from tests.support.datagrams import in_pieces, sending
from tests.support.programs import free_port


def shifted(clip: Path, seconds: float) -> bytes:
    """The clip as a transport stream whose timestamps begin later by so many seconds."""
    path = clip.with_suffix(f".{seconds}.ts")
    options = {"output_ts_offset": str(seconds)}
    return _remuxed(clip, path, "mpegts", options)


def shortly_before_the_wrap(seconds: float) -> float:
    """So many seconds before the 33 bits of 90 kHz are over."""
    return 2**33 / 90_000 - seconds


def without_timestamps(clip: Path) -> bytes:
    """The clip as a bare H.264 stream."""
    path = clip.with_suffix(".h264")
    return _remuxed(clip, path, "h264", {})


def _remuxed(clip: Path, path: Path, container: str, options: dict[str, str]) -> bytes:
    """The same packets in another container."""
    with av.open(str(path), "w", format=container, options=options) as target, av.open(str(clip)) as source:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return path.read_bytes()


def joined_late(clip: Path, packets: int) -> bytes:
    """The clip as a transport stream without its first so many packets."""
    path = clip.with_suffix(".joined.ts")
    with av.open(str(path), "w", format="mpegts") as late, av.open(str(clip)) as early:
        stream = late.add_stream_from_template(early.streams.video[0])
        for packet in [packet for packet in early.demux(video=0) if packet.size][packets:]:
            packet.stream = stream
            late.mux(packet)
    return path.read_bytes()


def flipped(content: bytes, seed: int, bits: int = 40) -> bytes:
    """The same bytes but for so many bits."""
    source_of_bits, changed = random.Random(seed), bytearray(content)
    for _ in range(bits):
        changed[source_of_bits.randrange(len(changed))] ^= 1 << source_of_bits.randrange(8)
    return bytes(changed)


def huge_picture() -> bytes:
    """A PNG of 16384x16384, which is small as a file."""
    buffer = io.BytesIO()
    Image.new("1", (16_384, 16_384)).save(buffer, "PNG")
    return buffer.getvalue()


ENDLESS_PLAYLIST = (b"#EXTM3U\n#EXT-X-TARGETDURATION:3\n", b"#EXTINF:3.0,\nx.ts\n" * 1000)
"""Its head, and what comes after that again and again."""


@contextmanager
def endless(head: bytes, rest: bytes) -> Iterator[int]:
    """Answers a request with a body that goes on until the other side has had enough; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + head)
                    while True:
                        connection.sendall(rest)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


@contextmanager
def answering(*answers: str, host: str = "127.0.0.1") -> Iterator[tuple[int, list[str]]]:
    """An RTSP server that gives each connection one answer and closes it; its port, and the first lines that it was
    sent."""
    heard: list[str] = []
    with socket.create_server((host, 0)) as listener:

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    heard.append(connection.recv(4096).decode())
                    connection.sendall(f"RTSP/1.0 {answer}\r\nCSeq: 1\r\n\r\n".encode())

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], heard


@contextmanager
def sent_badly(content: bytes, port: int) -> Iterator[None]:
    """A transport stream as datagrams, again and again: of each ten one is lost, and two change places."""
    pieces, turns = in_pieces(content), itertools.count(step=7)

    def send(sender: socket.socket, over: threading.Event) -> None:
        for at in range(0, len(pieces), 10):
            ten = pieces[at : at + 10]
            if len(ten) == 10:
                lost = next(turns) % 10
                ten[3], ten[4] = ten[4], ten[3]
                del ten[lost]
            for piece in ten:
                sender.sendto(piece, ("127.0.0.1", port))
                over.wait(0.002)

    with sending(send):
        yield


def free_datagram_port() -> int:
    """A port that no datagrams are taken on."""
    return free_port(socket.SOCK_DGRAM)
