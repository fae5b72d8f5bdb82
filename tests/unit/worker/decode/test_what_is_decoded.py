"""What is decoded, and what is not; that it makes no difference is in tests/property."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import av
import pytest
from av.video.stream import VideoStream

from tests.support.coded import NO_B_FRAMES, Coding, make
from tests.support.openrequests import open_request
from tests.unit.worker.decode.clips import ClipSpec, make_clip
from tests.unit.worker.decode.conftest import MakeSource
from tests.unit.worker.decode.reading import read
from tests.unit.worker.decode.webserver import Page, WebServer
from videofleet_worker.decode.choice import Choice
from videofleet_worker.decode.decoder import Decoded
from videofleet_worker.decode.footage import ContainerFootage
from videofleet_worker.decode.messages import Opened, OpenRequest
from videofleet_worker.decode.opening import OpenSource
from videofleet_worker.decode.part import Part
from videofleet_worker.decode.sampling import Sampling
from videofleet_worker.decode.sparse import SparseDecoder
from videofleet_worker.decode.threads import SpareThreads
from videofleet_worker.sources.errors import SourceError


@pytest.fixture(scope="session")
def a_minute(clips: Path) -> Path:
    """A minute of 5 MB or more, 25 frames and a keyframe a second."""
    coding = Coding(frames=1500, options={**NO_B_FRAMES, "preset": "ultrafast", "qp": "1"}, width=256, height=192)
    return make(clips / "minute.mp4", coding)


@pytest.mark.parametrize(
    ("sampling", "indexes", "decoded", "strategy"),
    [
        (Sampling("fps", 1), [0, 10, 20], 3, "keyframes"),
        (Sampling("fps", 0.8), [0, 13, 25], 1 + 4 + 6, "needed"),
        (Sampling("interval", 12), [0, 12, 24], 1 + 3 + 5, "needed"),
        (Sampling("keyframe"), [0, 10, 20], 3, "keyframes"),
        (Sampling("fps", 0.8, "all"), [0, 13, 25], 30, "all"),
        (Sampling("fps", 0.8, "keyframes"), [0, 20], 2, "keyframes"),
        (Sampling("interval", 12, "keyframes"), [0, 20], 2, "keyframes"),
    ],
)
async def test_only_what_is_needed(
    make_source: MakeSource, clip: Path, sampling: Sampling, indexes: list[int], decoded: int, strategy: str
) -> None:
    source = make_source(clip, sampling=sampling)

    outcome = await read(source)

    counters = source.counters
    assert (outcome.error, outcome.indexes) == (None, indexes)
    assert (counters.strategy, counters.decoded_frames, counters.behind) == (strategy, decoded, 30)
    assert counters.dropped == {"sampling": 30 - len(indexes)}


@pytest.fixture
def a_minute_on_the_web(web: WebServer, a_minute: Path) -> str:
    web.pages["/minute.mp4"] = Page(a_minute.read_bytes())
    return web.url("/minute.mp4")


async def test_far_apart_frames_are_gone_to(make_source: MakeSource, a_minute: Path, a_minute_on_the_web: str) -> None:
    sampling = Sampling("fps", 0.04)
    everything = await read(make_source(a_minute, sampling=Sampling("fps", 0.04, "all")))
    for address in (a_minute, a_minute_on_the_web):
        source = make_source(address, sampling=sampling)

        outcome = await read(source)

        assert (outcome.error, outcome.indexes, outcome.times) == (None, [0, 625, 1250], [0.0, 25.0, 50.0])
        assert (outcome.indexes, outcome.means) == (everything.indexes, everything.means)
        # To the second and to the third; from there to the end no frame is due.
        assert source.counters.seeks == 2
        assert source.counters.behind == 1500


async def test_a_range_begins_where_it_begins(make_source: MakeSource, a_minute: Path) -> None:
    source = make_source(a_minute, part=Part(50.02, 50.2, "seconds"))

    outcome = await read(source)

    assert (outcome.error, outcome.indexes) == (None, [1251, 1252, 1253, 1254])
    assert source.counters.seeks == 1
    assert source.counters.decoded_frames < 20


@dataclass
class Camera:
    """A live source, packet by packet."""

    stream: VideoStream
    decoder: SparseDecoder

    def sees(self, packets: list[av.Packet]) -> list[int]:
        """Numbers of the frames that come out by the time each packet has come."""
        return [one.index for one in self.decodes(packets) if one.judged.wanted]

    def decodes(self, packets: list[av.Packet]) -> list[Decoded]:
        """What comes out by the time each packet has come, wanted or only to be looked at."""
        found: list[Decoded] = []
        for packet in packets:
            found += self.decoder.decode(packet, 100.0 + float((packet.pts or 0) * packet.time_base))
        return found


INFO = Opened(live=True, fps=10.0, width=64, height=48, codec="h264", total_frames=None)


def _request(**sampling: object) -> OpenRequest:
    return open_request("rtsp://camera/1", kind="live", **sampling)


def _camera(container: av.container.InputContainer, **sampling: object) -> tuple[Camera, list[av.Packet]]:
    stream = container.streams.video[0]
    camera = Camera(stream, SparseDecoder(stream, Choice(_request(**sampling), INFO), live=True))
    return camera, [packet for packet in container.demux(stream) if packet.size]


def test_of_a_camera_keyframes_alone_once_their_interval_is_known(tmp_path: Path) -> None:
    with av.open(str(make_clip(tmp_path / "clip.mp4", ClipSpec(frames=79)))) as container:
        camera, packets = _camera(container, sampling_mode="fps", sampling_value=0.5)
        counts = camera.decoder.counts

        assert camera.sees(packets[:21]) == [0, 20]
        # Two intervals have been seen by now.
        before = counts.decoded
        assert camera.sees(packets[21:61]) == [40, 60]
        assert counts.decoded - before == 2
        assert camera.decoder.strategy == "keyframes"


def test_keyframes_that_are_late_end_the_waiting(tmp_path: Path) -> None:
    with av.open(str(make_clip(tmp_path / "clip.mp4", ClipSpec(frames=79)))) as container:
        camera, packets = _camera(container, sampling_mode="fps", sampling_value=0.5)
        camera.sees(packets[:41])
        for packet in packets[50:]:
            packet.is_keyframe = False

        # Wanted is 60, a keyframe no more: it comes when it comes, with all it refers to decoded by then.
        assert camera.sees(packets[41:51]) == []
        before = camera.decoder.counts.decoded
        assert camera.sees(packets[51:53]) == []
        assert camera.decoder.counts.decoded - before >= 12
        assert camera.sees(packets[53:61]) == [60]


def test_a_camera_whose_timestamps_go_astray(tmp_path: Path) -> None:
    with av.open(str(make_clip(tmp_path / "clip.mp4", ClipSpec(frames=79)))) as container:
        camera, packets = _camera(container, sampling_mode="interval", sampling_value=4)
        for packet in packets[13:15]:
            packet.pts = packet.dts = None

        seen = camera.sees([packet for packet in packets[:40] if packet.pts is not None])

        assert all(later - earlier <= 4 for earlier, later in itertools.pairwise(seen))


def test_keyframes_decoded_for_others_are_there_to_be_looked_at(tmp_path: Path) -> None:
    with av.open(str(make_clip(tmp_path / "clip.mp4", ClipSpec(frames=79)))) as container:
        camera, packets = _camera(container, sampling_mode="interval", sampling_value=7)

        found = camera.decodes(packets)

        assert [one.index for one in found if one.judged.wanted] == list(range(0, 79, 7))
        assert [one.index for one in found if one.keyframe] == list(range(0, 79, 10))
        assert not any(one.judged.after_keyframe for one in found if one.keyframe)


def test_a_stream_of_keyframes_is_known_for_one_by_the_few_that_are_decoded(tmp_path: Path) -> None:
    coding = Coding("matroska", "mjpeg", frames=90)
    with av.open(str(make(tmp_path / "clip.mkv", coding))) as container:
        camera, packets = _camera(container, sampling_mode="interval", sampling_value=25)

        found = camera.decodes(packets)

        assert [one.index for one in found if one.judged.wanted] == [0, 25, 50, 75]
        assert camera.decoder.counts.decoded < 10
        assert all(one.judged.after_keyframe for one in found if one.index)


def test_what_is_passed_over_has_come_all_the_same(tmp_path: Path) -> None:
    """By what comes, and not by what is decoded, a source is called too slow."""
    with av.open(str(make_clip(tmp_path / "clip.mp4", ClipSpec(frames=79)))) as container:
        source = OpenSource(container, container.streams.video[0], INFO, pulled=False)
        footage = ContainerFootage(source, SpareThreads(1), _request(sampling_mode="fps", sampling_value=0.5))

        with pytest.raises(SourceError, match="ended"):
            list(footage.frames(lambda packet: None))

        assert (footage.tally.received, footage.tally.decoded + footage.tally.passed) == (79, 79)
        assert footage.tally.decoded < 40
