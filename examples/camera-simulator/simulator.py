#!/usr/bin/python3
"""Starts the camera simulator: RTSP cameras, the same clip over HTTP, and a control that breaks them on demand."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
from pathlib import Path

from camera_simulator.access import Role
from camera_simulator.clip import ClipError, load_clip
from camera_simulator.control import ControlServer
from camera_simulator.gst import GLib, MissingElementError, require_elements
from camera_simulator.hls import HlsError, LiveHls
from camera_simulator.options import Options, parse_options
from camera_simulator.server import Camera, CameraServer, RtspSettings
from camera_simulator.site import Site, fixed_files
from camera_simulator.web import FileServer

log = logging.getLogger("simulator")


def make_cameras(options: Options) -> list[Camera]:
    """The open cameras, each at another place of the clip, and the protected one."""
    clips = {False: load_clip(options.clip), True: load_clip(options.small_clip)}
    step = len(clips[False].units) // options.cameras
    everyone = frozenset(Role)
    black = load_clip(options.black_clip)
    cameras = [Camera(f"/cam{n + 1}", clips, black, n * step, everyone) for n in range(options.cameras)]
    return [*cameras, Camera("/secure", clips, black, 0, frozenset({Role.CAMERA}))]


def serve(options: Options) -> None:
    """Runs until SIGTERM or SIGINT; with `check` no longer than it takes to prepare what is to be served."""
    require_elements()
    loop = GLib.MainLoop()
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)
    with contextlib.ExitStack() as running:
        cameras = make_cameras(options)
        users = {Role.CAMERA: options.secure, Role.ROTATED: options.rotated}
        live = LiveHls(cameras[0].clips[False], first=lambda: 0)
        running.callback(live.close)
        site = Site(fixed_files(options.clip, options.small_clip), live)
        if options.check:
            return
        server = CameraServer(RtspSettings(options.host, options.rtsp_port, options.scheme, users), cameras)
        ports = {"rtsp": server.start()}
        running.callback(server.close)
        files = FileServer(options.host, options.http_port, site.find)
        ports["http"] = files.start()
        running.callback(files.close)
        if options.https_port is not None:
            secure_files = FileServer(options.host, options.https_port, site.find, options.tls)
            ports["https"] = secure_files.start()
            running.callback(secure_files.close)
        control = ControlServer(options.host, options.control_port, server)
        ports["control"] = control.start()
        running.callback(control.close)
        announce(ports, options.port_file)
        loop.run()
        log.info("stopping")


def announce(ports: dict[str, int], port_file: Path | None) -> None:
    """Says that everything listens, and where, as one line of JSON."""
    line = json.dumps(ports)
    if port_file is not None:
        # Whoever waits for the file must never read half of it.
        unfinished = port_file.with_name(f"{port_file.name}.{os.getpid()}")
        unfinished.write_text(line + "\n")
        unfinished.replace(port_file)
    print(line, flush=True)


def main() -> int:
    """Returns the exit status: 0 after an orderly stop, 1 when it could not start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(parse_options(sys.argv[1:]))
    except (ClipError, HlsError, MissingElementError, OSError) as error:
        log.error("cannot start: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
