"""As much of an RTSP camera as a player needs that takes its packets in the RTSP connection: of any codec that has a
packing for RTP, which the server of the camera simulator has not.

RFC 7826 for the requests, RFC 3984, 7798, 6416, 2435 and the drafts for VP9 and AV1 for what FFmpeg packs.
"""

import itertools
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import av

from tests.unit.worker.decode.clips import ClipSpec, encoded_by, picture

_RTCP_KINDS = range(200, 205)
_NAMES = {"libx264": "H264", "libx265": "H265", "libvpx-vp9": "VP9", "libsvtav1": "AV1", "mpeg4": "MP4V-ES"}
_JPEG_TYPE, _OTHER_TYPE = 26, 96
_LONGEST = 1400


@contextmanager
def rtsp_camera(spec: ClipSpec) -> Iterator[int]:
    """Serves a clip to one player at the clip's pace, and then says nothing more; the port."""
    packets, over = packed(spec), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                _answer(connection, spec)
                _send(connection, packets, spec.fps, over)
                over.wait()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join()


def packed(spec: ClipSpec) -> list[bytes]:
    """The RTP packets of a clip."""
    sink = _Packets()
    with av.open(sink, "w", format="rtp", options={"strict": "experimental"}, buffer_size=_LONGEST) as output:
        stream = encoded_by(output, spec)
        for index in range(spec.frames):
            output.mux(stream.encode(picture(index, spec)))
        output.mux(stream.encode(None))
    return sink.packets


class _Packets:
    """What a muxer writes, a packet at a time, without the reports of RTCP between them."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def write(self, data: bytes) -> int:
        if data[1] not in _RTCP_KINDS:
            self.packets.append(bytes(data))
        return len(data)


def _answer(connection: socket.socket, spec: ClipSpec) -> None:
    """Until the player wants to see something."""
    requests = connection.makefile("rb")
    while True:
        lines = list(iter(lambda: requests.readline().strip(), b""))
        method = lines[0].split()[0]
        (number,) = [line.split()[1] for line in lines if line.lower().startswith(b"cseq")]
        head, body = _reply(method, spec)
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        connection.sendall(b"RTSP/1.0 200 OK\r\nCSeq: %s\r\n%s%s\r\n%s" % (number, head, length, body))
        if method == b"PLAY":
            return


def _reply(method: bytes, spec: ClipSpec) -> tuple[bytes, bytes]:
    match method:
        case b"DESCRIBE":
            return b"Content-Type: application/sdp\r\n", _described(spec).encode()
        case b"SETUP":
            return b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n", b""
        case _:
            return b"Public: DESCRIBE, SETUP, PLAY\r\nSession: 1\r\n", b""


def _described(spec: ClipSpec) -> str:
    kind = _JPEG_TYPE if spec.codec == "mjpeg" else _OTHER_TYPE
    lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=camera", "t=0 0", f"m=video 0 RTP/AVP {kind}", "a=control:video"]
    if spec.codec != "mjpeg":
        lines.append(f"a=rtpmap:{kind} {_NAMES[spec.codec]}/90000")
    return "\r\n".join([*lines, ""])


def _send(connection: socket.socket, packets: list[bytes], fps: int, over: threading.Event) -> None:
    """A picture's packets at once, then a pause."""
    for _, picture_packets in itertools.groupby(packets, lambda packet: packet[4:8]):
        for packet in picture_packets:
            connection.sendall(b"$\x00" + struct.pack(">H", len(packet)) + packet)
        over.wait(1 / fps)
