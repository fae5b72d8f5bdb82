"""Debian's MQTT broker on a free port of the loopback address, and somebody who is subscribed to everything."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.programs import free_port
from tests.support.waiting import wait_until

# Where Debian puts it, which not every user's path has.
PROGRAM = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
PASSWORDS = shutil.which("mosquitto_passwd", path="/usr/bin:/usr/local/bin")
USER, PASSWORD = "camera-7", "s3cret-7"


@dataclass(frozen=True)
class Published:
    """A message that came."""

    topic: str
    body: bytes
    qos: int

    @property
    def json(self) -> Any:
        """The body of one in JSON."""
        return json.loads(self.body)


class Broker:
    """From `start` (or `with`) to `stop`. `login`: only with USER and PASSWORD. `tls`: a folder with tls.crt, tls.key
    and ca.crt."""

    def __init__(self, folder: Path, *, login: bool = False, tls: Path | None = None) -> None:
        self.messages: list[Published] = []
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._login = login
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None
        self._subscriber: Client | None = None
        self._write_config(folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and subscribe."""
        assert PROGRAM is not None, "apt-get install mosquitto"
        self._process = subprocess.Popen([PROGRAM, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        wait_until(self._listens, "the broker listens")
        self._subscribe()

    def stop(self) -> None:
        """End it."""
        if self._subscriber is not None:
            self._subscriber.disconnect()
            self._subscriber.loop_stop()
            self._subscriber = None
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def at(self, topic: str) -> list[Published]:
        """What came under a topic."""
        return [message for message in self.messages if message.topic == topic]

    def _write_config(self, folder: Path) -> None:
        lines = [f"listener {self.port} 127.0.0.1", f"allow_anonymous {str(not self._login).lower()}", "user root"]
        if self._login:
            assert PASSWORDS is not None, "apt-get install mosquitto"
            passwords = folder / "passwords"
            passwords.touch(0o600)
            subprocess.run([PASSWORDS, "-b", str(passwords), USER, PASSWORD], check=True)
            lines.append(f"password_file {passwords}")
        if self._tls is not None:
            lines += [f"certfile {self._tls / 'tls.crt'}", f"keyfile {self._tls / 'tls.key'}"]
        self._config.write_text("\n".join(lines) + "\n")

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the broker ended instead of starting"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _subscribe(self) -> None:
        subscribed = threading.Event()
        client = self._subscriber = Client(CallbackAPIVersion.VERSION2)
        client.on_connect = lambda client, *said: client.subscribe("#", qos=1)
        client.on_subscribe = lambda *said: subscribed.set()
        client.on_message = lambda client, data, message: self.messages.append(
            Published(message.topic, message.payload, message.qos)
        )
        if self._login:
            client.username_pw_set(USER, PASSWORD)
        if self._tls is not None:
            client.tls_set(str(self._tls / "ca.crt"))
            client.tls_insecure_set(True)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        assert subscribed.wait(30), "the broker takes no subscription"
