"""As much of an RTMP server as a player needs: it sends one clip again and again.

Handshake, chunks of one size, and three commands answered (Adobe's RTMP 1.0, sections 5 and 7).
"""

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_HANDSHAKE = 1536
_CHUNK = 65_536
_COMMAND, _VIDEO, _SET_CHUNK_SIZE = 20, 9, 1
_PERIOD_MS = 40
_FLV_HEAD, _FLV_TAG = 13, 11


@contextmanager
def rtmp_server(flv: bytes, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serves the video of an FLV file, 25 frames a second, to one player; the port. With `tls` it is RTMPS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            # A player that does not know the certificate ends the handshake.
            with connection, suppress(OSError):
                if tls is None:
                    _serve(connection, flv)
                else:
                    with tls.wrap_socket(connection, server_side=True) as secure:
                        _serve(secure, flv)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def _serve(connection: socket.socket, flv: bytes) -> None:
    hello = _exactly(connection, 1 + _HANDSHAKE)
    connection.sendall(b"\x03" + bytes(_HANDSHAKE) + hello[1:])
    _exactly(connection, _HANDSHAKE)
    connection.sendall(_message(_SET_CHUNK_SIZE, struct.pack(">I", _CHUNK)))
    nothing, heard = b"\x05", b""
    for command in (b"connect", b"createStream", b"play"):
        while command not in heard or len(heard.partition(command)[2]) < 9:
            heard += _some(connection)
        number = heard.partition(command)[2][:9]
        heard = heard.partition(command)[2][9:]
        if command == b"play":
            status = _object(level="status", code="NetStream.Play.Start")
            connection.sendall(_message(_COMMAND, _text("onStatus") + _number(0) + nothing + status, stream=1))
        else:
            result = _number(1) if command == b"createStream" else _object(code="NetConnection.Connect.Success")
            connection.sendall(_message(_COMMAND, _text("_result") + number + nothing + result))
    # As a camera does: at its pace, until the player has gone.
    pace, begins, videos = threading.Event(), 0, list(_videos(flv))
    while True:
        for stamp, body in videos:
            connection.sendall(_message(_VIDEO, body, stream=1, stamp=begins + stamp))
            pace.wait(_PERIOD_MS / 1000)
        begins += videos[-1][0] + _PERIOD_MS


def _videos(flv: bytes) -> Iterator[tuple[int, bytes]]:
    """Time in milliseconds and content of each video tag."""
    position = _FLV_HEAD
    while position + _FLV_TAG < len(flv):
        size = int.from_bytes(flv[position + 1 : position + 4], "big")
        stamp = int.from_bytes(flv[position + 4 : position + 7], "big")
        if flv[position] == _VIDEO:
            yield stamp, flv[position + _FLV_TAG : position + _FLV_TAG + size]
        position += _FLV_TAG + size + 4


def _message(kind: int, body: bytes, stream: int = 0, stamp: int = 0) -> bytes:
    """One message in one chunk, or the few that are sent before chunks are large."""
    head = b"\x03" + stamp.to_bytes(3, "big") + len(body).to_bytes(3, "big") + bytes([kind]) + struct.pack("<I", stream)
    return head + body


def _text(value: str) -> bytes:
    return b"\x02" + struct.pack(">H", len(value)) + value.encode()


def _number(value: float) -> bytes:
    return b"\x00" + struct.pack(">d", value)


def _object(**fields: str) -> bytes:
    pairs = b"".join(struct.pack(">H", len(name)) + name.encode() + _text(value) for name, value in fields.items())
    return b"\x03" + pairs + b"\x00\x00\x09"


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65_536)
    if not data:
        raise ConnectionResetError
    return data


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionResetError
        data += piece
    return data
