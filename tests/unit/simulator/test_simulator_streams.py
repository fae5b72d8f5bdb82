"""Healthy cameras: what a viewer gets over RTSP."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy
import pytest

from tests.support.cameras import CLIP, CameraSimulator
from tests.support.waiting import wait_until
from tests.unit.simulator.viewing import Viewer, frames, opened

FRAME_TICKS = 9000  # a tenth of a second on RTP's 90 kHz clock
SHORT = 20  # pictures of the short clip, one GOP


@pytest.fixture
def short_loop(tmp_path: Path) -> Iterator[CameraSimulator]:
    """A simulator whose clip starts over every two seconds."""
    short = tmp_path / "short.mp4"
    with av.open(str(CLIP)) as source, av.open(str(short), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in itertools.islice(source.demux(video=0), SHORT):
            packet.stream = stream
            target.mux(packet)
    with CameraSimulator(["--clip", str(short), "--cameras", "1"]) as simulator:
        yield simulator


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_camera_plays_in_real_time(simulator: CameraSimulator, transport: str) -> None:
    began = time.monotonic()
    with opened(simulator.rtsp("/cam1"), transport) as container:
        stamps = []
        for frame in itertools.islice(container.decode(video=0), 40):
            assert (frame.width, frame.height) == (768, 576)
            stamps.append(frame.pts)
    assert steps(stamps) == {FRAME_TICKS}
    # A busy machine may take longer; a camera that sends what it has at once would take no time.
    assert time.monotonic() - began >= 3.9 - SHORT / 10


def test_the_loop_point_is_seamless(short_loop: CameraSimulator) -> None:
    seen = frames(short_loop.rtsp("/cam1"), 3 * SHORT)
    assert steps([frame.pts for frame in seen]) == {FRAME_TICKS}
    images = [frame.to_ndarray(format="gray") for frame in seen]
    for first, second in zip(images, images[SHORT:], strict=False):
        assert numpy.array_equal(first, second)


def test_cameras_are_at_different_places_of_the_clip(simulator: CameraSimulator) -> None:
    (one,), (other,) = frames(simulator.rtsp("/cam1"), 1), frames(simulator.rtsp("/cam5"), 1)
    difference = one.to_ndarray(format="gray").astype(int) - other.to_ndarray(format="gray")
    assert (abs(difference) > 30).mean() > 0.01


def test_a_second_viewer_begins_with_a_keyframe(simulator: CameraSimulator) -> None:
    with Viewer(simulator.rtsp("/cam1")) as first:
        wait_until(lambda: first.packets >= 5, "the first viewer to be in the middle of a GOP")
        (frame,) = frames(simulator.rtsp("/cam1"), 1)
        assert frame.key_frame


def test_an_unknown_path_is_not_found(simulator: CameraSimulator) -> None:
    with pytest.raises(av.error.HTTPNotFoundError):
        frames(simulator.rtsp("/cam9"), 1)


def test_the_protected_camera_wants_its_password(simulator: CameraSimulator) -> None:
    assert frames(simulator.rtsp("/secure", "camera", "s3cret"), 1)
    for user, password in ((None, None), ("camera", "wrong"), ("someone", "s3cret")):
        with pytest.raises(av.error.HTTPUnauthorizedError):
            frames(simulator.rtsp("/secure", user, password), 1)


def test_basic_authentication_and_other_credentials() -> None:
    flags = ["--cameras", "1", "--auth", "basic", "--secure-user", "guard", "--secure-password", "p@ss/word"]
    with CameraSimulator(flags) as simulator:
        assert frames(simulator.rtsp("/secure", "guard", "p@ss/word"), 1)
        with pytest.raises(av.error.HTTPUnauthorizedError):
            frames(simulator.rtsp("/secure", "camera", "s3cret"), 1)
        assert "p@ss/word" not in simulator.log()


def test_eight_viewers_cost_little(simulator: CameraSimulator) -> None:
    viewers = [Viewer(simulator.rtsp(f"/cam{number}")) for number in range(1, 9)]
    with viewers[0], viewers[1], viewers[2], viewers[3], viewers[4], viewers[5], viewers[6], viewers[7]:
        wait_until(lambda: all(viewer.packets for viewer in viewers), "every viewer to see something")
        used, packets = processor_seconds(simulator.pid), sum(viewer.packets for viewer in viewers)
        wait_until(lambda: sum(viewer.packets for viewer in viewers) >= packets + 240, "three seconds of eight streams")
        # Seen: 0.07 of a core. Encoding would cost several cores.
        assert processor_seconds(simulator.pid) - used < 3 * 0.4


def steps(stamps: list[int | None]) -> set[int]:
    """The differences between successive timestamps; FFmpeg gives the first picture of an RTSP stream none."""
    known = [stamp for stamp in stamps if stamp is not None]
    assert len(known) >= len(stamps) - 1
    return {later - earlier for earlier, later in itertools.pairwise(known)}


def processor_seconds(pid: int) -> float:
    """User and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
