"""A source leads to where the pool's policy allows and nowhere else, whatever its server says. All traffic is loopback:
what must be refused is another address of it, where a listener shows that nobody came."""

import asyncio
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.worker.decode.conftest import LOOPBACK, MakeSource
from tests.unit.worker.decode.faulty import answering
from tests.unit.worker.decode.forbidden import ALLOWED, FORBIDDEN, ONE_HOST, nobody_comes
from tests.unit.worker.decode.reading import read
from tests.unit.worker.decode.webserver import Page, WebServer, serving
from videofleet_api.codes import ErrorCode
from videofleet_api.reach import cluster_addresses
from videofleet_api.source import SourcePolicy
from videofleet_worker.sources.dialer import Dialer
from videofleet_worker.sources.errors import SourceError
from videofleet_worker.sources.reach import EVERYWHERE, Reach


@pytest.fixture
def content(clip: Path) -> bytes:
    return clip.read_bytes()


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "::1", "0.0.0.0", "::", "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0"),
        *("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "224.0.0.1", "255.255.255.255", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::"),
    ],
)
def test_closed_without_being_asked(address: str) -> None:
    assert EVERYWHERE.refusal(address) is not None
    assert Reach(SourcePolicy(allowed_cidrs=["0.0.0.0/0", "::/0"])).refusal(address) is not None


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.20", "172.16.0.1", "100.64.0.1", "8.8.8.8", "fd12::7"])
def test_cameras_are_anywhere_else(address: str) -> None:
    assert EVERYWHERE.refusal(address) is None


@pytest.mark.parametrize(
    ("allowed", "denied", "address", "said"),
    [
        (["10.0.0.0/8"], [], "10.1.2.3", None),
        (["10.0.0.0/8"], [], "11.1.2.3", "does not allow it"),
        (["10.0.0.0/8"], ["10.1.0.0/16"], "10.1.2.3", "denies it"),
        ([], ["10.1.0.0/16"], "10.1.2.3", "denies it"),
        ([], ["10.1.0.0/16"], "::ffff:10.1.2.3", "denies it"),
        (["169.254.20.0/24"], [], "169.254.20.9", None),
        (["169.254.20.0/24"], [], "169.254.169.254", "names no range of it"),
        (["10.0.0.1/8"], [], "10.9.9.9", None),
    ],
)
def test_ranges(allowed: list[str], denied: list[str], address: str, said: str | None) -> None:
    refusal = Reach(SourcePolicy(allowed_cidrs=allowed, denied_cidrs=denied)).refusal(address)

    assert (refusal is None) == (said is None)
    assert said is None or said in str(refusal)


def test_the_api_server_is_closed() -> None:
    own = cluster_addresses({"KUBERNETES_SERVICE_HOST": "10.96.0.1"})

    assert Reach(SourcePolicy(), own).refusal("10.96.0.1") is not None
    assert Reach(SourcePolicy(), own).refusal("10.96.0.2") is None
    assert cluster_addresses({"KUBERNETES_SERVICE_HOST": "kubernetes"}) == cluster_addresses({}) == []


@pytest.mark.parametrize("host", ["localhost", "metadata.google.internal", "Kubernetes.Default.svc."])
async def test_of_names_that_stand_for_closed_addresses_no_resolver_is_asked(host: str) -> None:
    names = Names(["198.51.100.7"])
    with pytest.raises(SourceError, match="must not be reached: it is an address of the machine") as refused:
        await Dialer(Reach(SourcePolicy(), ["10.96.0.1"]), names).connect("http", host, 80, 5.0)
    assert (refused.value.code, names.asked) == (ErrorCode.FORBIDDEN, 0)


class Names:
    """A resolver whose answers are given, one after the other; the last one again and again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.asked = 0
        self._answers = answers

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self._answers[min(self.asked, len(self._answers)) - 1]


async def test_an_address_is_refused_before_a_packet_leaves() -> None:
    dialer = Dialer(ONE_HOST, Names([FORBIDDEN]))
    with (
        nobody_comes() as port,
        pytest.raises(SourceError, match=r"camera \(127.0.0.2\) must not be reached") as refused,
    ):
        await dialer.connect("http", "camera", port, 5.0)

    assert refused.value.code is ErrorCode.FORBIDDEN


async def test_of_several_addresses_only_those_that_are_allowed_are_tried(web: WebServer) -> None:
    dialer = Dialer(ONE_HOST, Names([FORBIDDEN, ALLOWED]))
    with nobody_comes(web.port):
        sock, address = await dialer.connect("http", "camera", web.port, 5.0)
        sock.close()

    assert address == ALLOWED


async def test_a_name_that_changes_between_check_and_use(
    make_source: MakeSource, web: WebServer, content: bytes
) -> None:
    web.pages["/changing.mp4"] = Page(content)
    names = Names([ALLOWED], [FORBIDDEN])
    with nobody_comes(web.port):
        url = f"http://camera.test:{web.port}/changing.mp4"
        outcome = await read(make_source(url, dialer=Dialer(ONE_HOST, names)))

    # One answer a connection, and that connection goes where the answer was.
    assert (outcome.error, len(outcome.indexes)) == (None, 30)
    assert names.asked == 1


async def test_a_name_that_has_changed_by_the_next_connection(
    make_source: MakeSource, web: WebServer, content: bytes
) -> None:
    web.pages["/changed.mp4"] = Page(content, give_up_after=len(content) * 4 // 10)
    names = Names([ALLOWED], [FORBIDDEN])
    with nobody_comes(web.port):
        url = f"http://camera.test:{web.port}/changed.mp4"
        outcome = await read(make_source(url, dialer=Dialer(ONE_HOST, names)))

    assert outcome.failure.code is ErrorCode.FORBIDDEN


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://127.0.0.2:{port}/x.mp4", "127.0.0.2 must not be reached"),
        ("http://2130706434:{port}/x.mp4", "must not be reached"),
        ("file:///etc/passwd", "the protocol 'file', not allowed here"),
        ("gopher://127.0.0.1:{port}/", "the protocol 'gopher', not allowed here"),
    ],
)
async def test_a_redirect_elsewhere(make_source: MakeSource, web: WebServer, location: str, said: str) -> None:
    with nobody_comes() as port:
        web.pages["/moved"] = Page(moved=location.format(port=port))
        outcome = await read(make_source(web.url("/moved"), dialer=Dialer(ONE_HOST)))

    assert outcome.failure.code is ErrorCode.FORBIDDEN
    assert said in outcome.failure.message


async def test_a_redirect_gets_no_credentials_of_another_server(
    make_source: MakeSource, web: WebServer, content: bytes
) -> None:
    with serving() as other:
        other.pages["/clip.mp4"] = Page(content)
        web.pages["/locked"] = Page(login="admin:hunter2")
        web.pages["/sent"] = Page(moved=other.url("/clip.mp4"))
        outcome = await read(make_source(web.url("/sent"), username="admin", password="hunter2"))

    assert (outcome.error, len(outcome.indexes)) == (None, 30)
    assert other.asked == [("/clip.mp4", None)]


async def test_a_camera_that_redirects_to_a_forbidden_address(make_source: MakeSource) -> None:
    with nobody_comes() as port, answering(f"302 Found\r\nLocation: rtsp://{FORBIDDEN}:{port}/x") as (camera, _):
        outcome = await read(make_source(f"rtsp://{ALLOWED}:{camera}/1", dialer=Dialer(ONE_HOST)))

    assert outcome.failure.code is ErrorCode.FORBIDDEN
    assert "127.0.0.2 must not be reached" in outcome.failure.message


async def test_a_camera_that_redirects_to_the_metadata_service(make_source: MakeSource) -> None:
    with answering("302 Found\r\nLocation: rtsp://169.254.169.254/latest") as (camera, _):
        outcome = await read(make_source(f"rtsp://{ALLOWED}:{camera}/1"))

    assert outcome.failure.code is ErrorCode.FORBIDDEN


async def test_a_camera_that_redirects_to_a_file(make_source: MakeSource) -> None:
    with answering("302 Found\r\nLocation: file:///etc/passwd") as (camera, _):
        outcome = await read(make_source(f"rtsp://{ALLOWED}:{camera}/1"))

    assert outcome.failure.code is ErrorCode.FORBIDDEN


async def test_a_camera_that_redirects_to_an_allowed_one_gets_its_way_without_credentials(
    make_source: MakeSource,
) -> None:
    with (
        answering("404 Not Found") as (other, heard),
        answering(f"302 Found\r\nLocation: rtsp://{ALLOWED}:{other}/2") as (camera, _),
    ):
        outcome = await read(
            make_source(f"rtsp://{ALLOWED}:{camera}/1", username="admin", password="hunter2", dialer=Dialer(ONE_HOST))
        )

    assert outcome.failure.code is ErrorCode.NOT_FOUND
    assert [line.splitlines()[0] for line in heard] == [f"OPTIONS rtsp://{ALLOWED}:{other}/2 RTSP/1.0"]
    assert "Authorization" not in heard[0]


async def test_a_camera_that_redirects_to_itself_for_ever(make_source: MakeSource) -> None:
    with socket.create_server((ALLOWED, 0)) as listener:
        camera = listener.getsockname()[1]

        def serve() -> None:
            answer = f"RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: rtsp://{ALLOWED}:{camera}/1\r\n\r\n".encode()
            for _ in range(4):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        outcome = await read(make_source(f"rtsp://{ALLOWED}:{camera}/1"))

    assert (outcome.failure.code, outcome.failure.message) == (
        ErrorCode.NETWORK,
        "the camera redirects again and again",
    )


async def test_a_cameras_name_is_resolved_once(make_source: MakeSource) -> None:
    names = Names([ALLOWED], [FORBIDDEN])
    with answering("404 Not Found") as (camera, heard), nobody_comes(camera):
        outcome = await read(make_source(f"rtsp://camera.test:{camera}/1", dialer=Dialer(ONE_HOST, names)))

    assert outcome.failure.code is ErrorCode.NOT_FOUND
    assert (names.asked, len(heard)) == (1, 1)


async def test_digest_credentials(make_source: MakeSource, web: WebServer, content: bytes) -> None:
    web.pages["/digest.mp4"] = Page(content, login="admin:p@ss:word", digest=True)
    url = web.url("/digest.mp4")

    allowed = await read(make_source(url, username="admin", password="p@ss:word"))
    refused = await read(make_source(url, username="admin", password="hunter2"))

    assert (allowed.error, len(allowed.indexes)) == (None, 30)
    assert refused.failure.code is ErrorCode.AUTH


_ATTACKS = """
import ctypes, errno, os, socket, sys
from videofleet_worker.decode.confinement import confine

port = int(sys.argv[1])
stream, datagram = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
ours, theirs = socket.socketpair()
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
confine(notify=False)
target = ("127.0.0.2", port)

def refused(what, act, number):
    try:
        act()
    except OSError as error:
        assert error.errno == number, (what, error)
    else:
        raise AssertionError(what)

stream.connect(target)
refused("a stream to nowhere", lambda: stream.send(b"x"), errno.EPIPE)
refused("a datagram", lambda: datagram.sendto(b"x", target), errno.EPERM)
refused("a message", lambda: datagram.sendmsg([b"x"], [], 0, target), errno.EPERM)
refused("a stream opened by sending", lambda: stream.sendto(b"x", socket.MSG_FASTOPEN, target), errno.EPERM)
datagram.connect(target)
refused("a datagram after connecting", lambda: datagram.send(b"x"), errno.EDESTADDRREQ)
refused("a new socket", socket.socket, errno.EACCES)
refused("a new socket for IPv6", lambda: socket.socket(socket.AF_INET6), errno.EACCES)
refused("a raw socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW), errno.EAFNOSUPPORT)
refused("a local socket", lambda: socket.socket(socket.AF_UNIX), errno.EAFNOSUPPORT)
refused("listening", lambda: stream.listen(), errno.EPERM)
refused("a descriptor to another", lambda: socket.send_fds(ours, [b"y"], [datagram.fileno()]), errno.EPERM)
ours.send(b"allowed")
assert theirs.recv(10) == b"allowed"
print("confined", flush=True)
os._exit(0)
"""


def test_a_decoder_that_has_been_taken_over_reaches_nothing() -> None:
    with nobody_comes() as port, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.bind((FORBIDDEN, port))
        done = subprocess.run(
            [sys.executable, "-c", _ATTACKS, str(port)], capture_output=True, text=True, timeout=300, check=False
        )
        assert select.select([datagrams], [], [], 0)[0] == [], "a datagram came"

    assert (done.stdout, done.returncode) == ("confined\n", 0), done.stderr


async def test_what_is_closed_stays_closed_for_a_whole_source(make_source: MakeSource) -> None:
    with nobody_comes() as port:
        outcomes = [
            await read(make_source(f"{scheme}://{FORBIDDEN}:{port}/x", dialer=Dialer(ONE_HOST)))
            for scheme in ("rtsp", "rtsps", "http", "https")
        ]

    assert {outcome.failure.code for outcome in outcomes} == {ErrorCode.FORBIDDEN}


async def test_a_host_that_does_not_answer_in_time() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(SourceError, match=r"camera does not answer within 0.05 s") as late:
        await Dialer(LOOPBACK.reach, never).connect("rtsp", "camera", 554, 0.05)

    assert late.value.code is ErrorCode.TIMEOUT
