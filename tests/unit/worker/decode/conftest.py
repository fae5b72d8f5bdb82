"""One fork server, one web server, and clips, for all tests of the decoding side."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.worker.decode.clips import ClipSpec, make_clip
from tests.unit.worker.decode.webserver import WebServer, serving
from videofleet_api.source import SourcePolicy
from videofleet_worker.decode.forkserver import ForkServer
from videofleet_worker.memory import USUAL, DecoderMemory
from videofleet_worker.sources.dialer import Dialer
from videofleet_worker.sources.events import SourceEvent
from videofleet_worker.sources.ondevice import DecodeStation
from videofleet_worker.sources.reach import Reach
from videofleet_worker.sources.reconnect import ReconnectPolicy
from videofleet_worker.sources.request import SourceRequest
from videofleet_worker.sources.stream import StreamSource

# Where the tests' own servers are, which is closed to sources otherwise.
LOOPBACK = Dialer(Reach(SourcePolicy(allowed_cidrs=["127.0.0.0/8", "::1/128"])))
# Makes a source whose file: addresses are allowed below the test's own folder.
MakeSource = Callable[..., StreamSource]


@pytest.fixture(scope="session")
def server() -> Iterator[ForkServer]:
    forkserver = ForkServer()
    forkserver.start()
    yield forkserver
    forkserver.stop()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the clips."""
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def clip(clips: Path) -> Path:
    """30 frames, 64x48, 10 a second, a keyframe every 10."""
    return make_clip(clips / "clip.mp4", ClipSpec())


@pytest.fixture(scope="session")
def web() -> Iterator[WebServer]:
    with serving() as running:
        yield running


@pytest.fixture
def events() -> list[SourceEvent]:
    """What the sources of `make_source` have told."""
    return []


@pytest.fixture
def make_source(server: ForkServer, clips: Path, tmp_path: Path, events: list[SourceEvent]) -> MakeSource:
    def make(
        address: str | Path,
        *,
        slots: int = 6,
        reconnect: ReconnectPolicy | None = None,
        memory: DecoderMemory = USUAL,
        dialer: Dialer = LOOPBACK,
        station: DecodeStation | None = None,
        **options: object,
    ) -> StreamSource:
        url = address.as_uri() if isinstance(address, Path) else address
        request = SourceRequest(url, **{"model_size": (32, 24), **options})  # type: ignore[arg-type]  # as the test says
        return StreamSource(
            request,
            slots=slots,
            reconnect=reconnect,
            on_event=events.append,
            file_roots=[clips, tmp_path],
            memory=memory,
            dialer=dialer,
            server=server,
            station=station,
        )

    return make
