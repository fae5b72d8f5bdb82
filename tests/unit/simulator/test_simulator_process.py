"""The simulator as a process: its start, its end, and its coming back."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import av
import pytest

from tests.support.cameras import CLIP, PROGRAM, SYSTEM_PYTHON, CameraSimulator
from tests.support.waiting import wait_until
from tests.unit.simulator.viewing import Viewer, frames

ONE_CAMERA = ["--cameras", "1"]


def ended(*arguments: str) -> tuple[int, str]:
    """Runs the simulator with flags with which it ends by itself; its exit status and its words."""
    command = [SYSTEM_PYTHON, str(PROGRAM), "--rtsp-port", "0", "--http-port", "0", "--control-port", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stderr


def test_an_orderly_stop_with_a_viewer() -> None:
    # On ports that nobody else is given when it has left them.
    simulator = CameraSimulator(ONE_CAMERA, keep_ports=True)
    simulator.start()
    with Viewer(simulator.rtsp("/cam1")) as viewer:
        wait_until(lambda: viewer.packets >= 3, "the viewer to see something")
        assert simulator.stop() == 0
        assert viewer.ended.wait(60)
    for name in ("rtsp", "http", "control"):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", simulator.port(name)), timeout=60)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_it_comes_back_on_the_same_ports(end: str) -> None:
    with CameraSimulator(ONE_CAMERA, keep_ports=True) as simulator:
        url = simulator.rtsp("/cam1")
        assert frames(url, 1)
        getattr(simulator, end)()
        with pytest.raises(av.error.ConnectionRefusedError):
            frames(url, 1)
        simulator.start()
        assert frames(url, 1)


def test_the_port_file_says_where_it_listens(tmp_path: Path) -> None:
    ports = tmp_path / "ports.json"
    with CameraSimulator([*ONE_CAMERA, "--port-file", str(ports)]) as simulator:
        assert json.loads(ports.read_text()) == {name: simulator.port(name) for name in ("rtsp", "http", "control")}
    assert [file.name for file in tmp_path.iterdir()] == ["ports.json"]


def test_a_check_ends_by_itself() -> None:
    assert ended("--check") == (0, "")


def test_passwords_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", "from-a-secret")
    with CameraSimulator(ONE_CAMERA) as simulator:
        assert frames(simulator.rtsp("/secure", "camera", "from-a-secret"), 1)
        with pytest.raises(av.error.HTTPUnauthorizedError):
            frames(simulator.rtsp("/secure", "camera", "s3cret"), 1)


def test_a_taken_port_is_named() -> None:
    with CameraSimulator(ONE_CAMERA) as simulator:
        status, words = ended("--rtsp-port", str(simulator.port("rtsp")))
        assert status == 1
        assert f"cannot listen for RTSP on 127.0.0.1:{simulator.port('rtsp')}" in words
        assert ended("--http-port", str(simulator.port("http")))[0] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cameras", "0"], "--cameras: 0 is too few; give at least 1"),
        (["--rtsp-port", "70000"], "'70000' is no port; give a number from 0 to 65535"),
        (["--tls-cert", "cert.pem"], "--tls-cert and --tls-key belong together"),
        (["--https-port", "0"], "--https-port needs --tls-cert and --tls-key"),
    ],
)
def test_a_bad_flag_is_ended(arguments: list[str], words: str) -> None:
    status, said = ended(*arguments)
    assert status == 2
    assert words in said


def test_a_clip_that_cannot_be_played_is_named(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("this is not a clip")
    for path in (tmp_path / "none.mp4", text):
        status, words = ended("--clip", str(path))
        assert status == 1
        assert f"cannot start: {path}: " in words
    assert "Traceback" not in words


def test_a_clip_with_b_frames_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "b-frames.mp4"
    with av.open(str(CLIP)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=10, options={"bf": "2", "preset": "ultrafast", "b-adapt": "0"})
        stream.width, stream.height, stream.pix_fmt = 768, 576, "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            if number == 12:
                break
            frame.pict_type = av.video.frame.PictureType.NONE
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    assert "has B-frames; encode it without them" in ended("--clip", str(path))[1]
