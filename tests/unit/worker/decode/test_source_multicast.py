"""Transport streams that are sent to a group, in a network of the test's own: nothing leaves it."""

import sys
from pathlib import Path

import pytest

from tests.support.ownnetwork import in_own_network
from tests.unit.worker.decode.clips import ClipSpec, make_clip

FRAMES = 10
LINK = """
ip link add name here type veth peer name there
ip address add 192.0.2.1/24 dev here
ip -6 address add fd00::1/64 dev here nodad
ip link set dev here up
ip link set dev there up
ip route add default via 192.0.2.2
ip -6 route add multicast ff00::/8 dev here table local metric 1
"""
TAKERS = """
import asyncio, socket, sys
from pathlib import Path
from tests.support.datagrams import in_pieces, sending
from tests.unit.worker.decode.reading import read
from videofleet_worker.decode.forkserver import ForkServer
from videofleet_worker.sources.request import SourceRequest
from videofleet_worker.sources.stream import StreamSource

group, clip = {group!r}, {clip!r}
host = f"[{{group}}]" if ":" in group else group
family = socket.AF_INET6 if ":" in group else socket.AF_INET
pieces = in_pieces(Path(clip).read_bytes())

def send(_, over):
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        for piece in pieces:
            sender.sendto(piece, (group, 5004))
            over.wait(0.005)

async def take(server):
    request = SourceRequest(f"udp://{{host}}:5004", model_size=(32, 24))
    return await read(StreamSource(request, server=server), enough={frames})

async def both():
    server = ForkServer()
    server.start()
    try:
        return await asyncio.gather(take(server), take(server))
    finally:
        server.stop()

with sending(send):
    for outcome in asyncio.run(both()):
        print(outcome.error, len(outcome.indexes), *set(outcome.sizes))
"""


@pytest.mark.parametrize("group", ["239.1.2.3", "ff15::1:2:3"], ids=["of IPv4", "of IPv6"])
def test_several_streams_take_what_a_group_is_sent(tmp_path: Path, group: str) -> None:
    clip = make_clip(tmp_path / "clip.ts", ClipSpec(container="mpegts", fps=25))

    told = in_own_network(
        TAKERS.format(group=group, clip=str(clip), frames=FRAMES),
        before=f"export PYTHONPATH='{':'.join(sys.path)}'\n{LINK}",
    )

    assert told.splitlines() == [f"None {FRAMES} (64, 48)"] * 2
