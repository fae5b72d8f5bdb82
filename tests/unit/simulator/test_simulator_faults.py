"""Cameras that break on demand, and the control that breaks them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import av
import pytest
from av.video.frame import VideoFrame

from tests.support.cameras import CameraSimulator, SimulatorError
from tests.support.waiting import wait_until
from tests.unit.simulator.conftest import ROTATED_PASSWORD
from tests.unit.simulator.interleaved import InterleavedClient
from tests.unit.simulator.viewing import Viewer, frames, opened, size

TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "udp"])
QUIET_SECONDS = 6.0  # longer than the pause between two RTCP reports


def watching(viewer: Viewer) -> None:
    wait_until(lambda: viewer.packets >= 3, "the viewer to see something")


@TRANSPORTS
@pytest.mark.parametrize("fault", ["stop", "wrong-password", "resolution"])
def test_a_fault_disconnects_the_viewers_of_its_camera_alone(
    simulator: CameraSimulator, fault: str, transport: str
) -> None:
    with Viewer(simulator.rtsp("/cam1"), transport) as viewer, Viewer(simulator.rtsp("/cam2"), transport) as neighbour:
        watching(viewer)
        watching(neighbour)
        simulator.fault("/cam1", fault)
        assert viewer.ended.wait(60)
        seen = neighbour.packets
        wait_until(lambda: neighbour.packets >= seen + 10, "the neighbour to go on")
        assert not neighbour.ended.is_set()


def test_a_stopped_camera_is_not_found_until_healed(simulator: CameraSimulator) -> None:
    simulator.fault("/cam1", "stop")
    with pytest.raises(av.error.HTTPNotFoundError):
        frames(simulator.rtsp("/cam1"), 1)
    simulator.fault("/cam1", "none")
    assert frames(simulator.rtsp("/cam1"), 3)


@TRANSPORTS
def test_a_silent_camera_keeps_the_connection_and_sends_again_when_healed(
    simulator: CameraSimulator, transport: str
) -> None:
    with Viewer(simulator.rtsp("/cam1"), transport) as viewer:
        watching(viewer)
        simulator.fault("/cam1", "silence")
        wait_until(lambda: viewer.quiet_for(1.5), "no packet for a while")
        assert simulator.cameras()["/cam1"].viewers == 1
        seen = viewer.packets
        simulator.fault("/cam1", "none")
        wait_until(lambda: viewer.packets >= seen + 5, "packets on the old connection")
        assert not viewer.ended.is_set()


def test_silence_is_complete_but_the_dialogue_goes_on(simulator: CameraSimulator) -> None:
    """No RTCP report either: a player that takes any packet for a sign of life must notice."""
    with InterleavedClient(simulator.port("rtsp"), "/cam1") as client:
        client.play()
        assert client.receives_data(within=60)
        simulator.fault("/cam1", "silence")
        client.drain(quiet=0.5)
        assert not client.receives_data(within=QUIET_SECONDS)
        assert client.ask("OPTIONS").startswith("RTSP/1.0 200 OK")


@TRANSPORTS
def test_a_silent_camera_shakes_hands_with_new_viewers(simulator: CameraSimulator, transport: str) -> None:
    simulator.fault("/cam1", "silence")
    with opened(simulator.rtsp("/cam1"), transport, timeout=1.5) as container:
        assert [stream.codec_context.name for stream in container.streams.video] == ["h264"]
        with pytest.raises(av.error.ExitError):
            next(container.demux(video=0))


def test_a_wrong_password_is_refused_until_healed(simulator: CameraSimulator) -> None:
    simulator.fault("*", "wrong-password")
    for url in (simulator.rtsp("/cam1"), simulator.rtsp("/secure", "camera", "s3cret")):
        with pytest.raises(av.error.HTTPUnauthorizedError):
            frames(url, 1)
    assert frames(simulator.rtsp("/cam1", "rotated", ROTATED_PASSWORD), 1)
    assert frames(simulator.rtsp("/secure", "rotated", ROTATED_PASSWORD), 1)
    simulator.fault("*", "none")
    assert frames(simulator.rtsp("/cam1"), 1)
    assert frames(simulator.rtsp("/secure", "camera", "s3cret"), 1)


@TRANSPORTS
def test_another_resolution_after_reconnecting(simulator: CameraSimulator, transport: str) -> None:
    simulator.fault("/cam1", "resolution")
    assert size(simulator.rtsp("/cam1"), transport) == (384, 288)
    assert size(simulator.rtsp("/cam2"), transport) == (768, 576)
    simulator.fault("/cam1", "none")
    assert size(simulator.rtsp("/cam1"), transport) == (768, 576)


def test_one_fault_follows_another(simulator: CameraSimulator) -> None:
    for fault in ("silence", "resolution", "stop", "silence"):
        simulator.fault("/cam1", fault)
        assert simulator.cameras()["/cam1"].fault == fault
    simulator.fault("/cam1", "none")
    assert size(simulator.rtsp("/cam1")) == (768, 576)


def test_the_control_tells_faults_and_viewers(simulator: CameraSimulator) -> None:
    simulator.fault("/cam2", "stop")
    with Viewer(simulator.rtsp("/cam1")) as viewer:
        watching(viewer)
        cameras = simulator.cameras()
        assert list(cameras) == [*(f"/cam{number}" for number in range(1, 9)), "/secure"]
        assert [path for path, camera in cameras.items() if camera.fault != "none"] == ["/cam2"]
        assert {path: camera.viewers for path, camera in cameras.items() if camera.viewers} == {"/cam1": 1}
    wait_until(lambda: simulator.cameras()["/cam1"].viewers == 0, "the viewer to be gone")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"stop", "body: not JSON"),
        (b"\xff\xfe", "body: not JSON"),
        (b"[1]", "body: [1] is not an object"),
        (b'{"fault": "stop"}', "path: missing; give one of /cam1, "),
        (b'{"path": "/cam1"}', "fault: missing; give one of none, stop, silence, wrong-password, resolution"),
        (b'{"path": "/cam99", "fault": "stop"}', 'path: "/cam99" is no camera here; give one of /cam1, '),
        (b'{"path": ["/cam1"], "fault": "stop"}', 'path: ["/cam1"] is no camera here'),
        (b'{"path": "/cam1", "fault": "explode"}', 'fault: "explode" is no fault; give one of none, stop, '),
        (b'{"path": "/cam1", "fault": 7}', "fault: 7 is no fault"),
        (b'{"path": "/cam1", "fault": "stop", "for": 5}', "for: unknown field; the fields are path and fault"),
    ],
)
def test_a_bad_order_is_refused_and_changes_nothing(simulator: CameraSimulator, body: bytes, message: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(simulator.control("/faults"), data=body, timeout=60)
    with caught.value as answer:
        assert answer.code == 400
        assert message in json.load(answer)["error"]
    assert {camera.fault for camera in simulator.cameras().values()} == {"none"}


def test_the_helper_passes_the_refusal_on(simulator: CameraSimulator) -> None:
    with pytest.raises(SimulatorError, match='path: \\\\"/nowhere\\\\" is no camera here'):
        simulator.fault("/nowhere", "stop")


def test_other_addresses_of_the_control(simulator: CameraSimulator) -> None:
    with urllib.request.urlopen(simulator.control("/healthz"), timeout=60) as answer:
        assert json.load(answer) == {"cameras": 9}
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(simulator.control("/fault"), timeout=60)


def _last(url: str, count: int) -> list[VideoFrame]:
    return frames(url, count)[-10:]


@pytest.mark.parametrize("fault", ["freeze", "black"])
def test_a_picture_that_is_frozen_or_black_while_timestamps_go_on(simulator: CameraSimulator, fault: str) -> None:
    with Viewer(simulator.rtsp("/cam1")) as viewer:
        watching(viewer)
        simulator.fault("/cam1", fault)
        # The longest way to the next keyframe is two seconds, which is when it begins.
        taken = _last(simulator.rtsp("/cam1"), 40)
        pictures = {frame.to_ndarray(format="gray").tobytes() for frame in taken}
        times = [frame.pts for frame in taken if frame.pts is not None]
        assert len(pictures) == 1
        assert len(set(times)) == 10
        assert bool(taken[0].to_ndarray(format="gray").max() < 20) == (fault == "black")
        simulator.fault("/cam1", "none")
        again = _last(simulator.rtsp("/cam1"), 40)
        assert len({frame.to_ndarray(format="gray").tobytes() for frame in again}) == 10
        assert not viewer.ended.is_set(), "the connection lives through it"
