"""Clients of the gateway, outside of the cluster: curl, and one whose connection may be lost."""

import contextlib
import json
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from examples.demo import tools
from tests.e2e.conftest import Deployment
from tests.support.kubectl import PATIENCE, Json, eventually

PEOPLE = [{"model": "detect", "parameters": {"classes": ["pedestrian"]}}, {"model": "feature"}]


@dataclass(frozen=True)
class Gateway:
    """Where it answers, and a key of a project whose jobs lie in the tests' namespace."""

    host: str
    key: str

    @property
    def url(self) -> str:
        """Of V."""
        return f"http://{self.host}:8080"

    def curl(self, path: str, *options: str) -> bytes:
        """What curl prints of V, as somebody with the key."""
        return self._curl(self.url + path, *options)

    def get(self, path: str) -> Json:
        """A document of V."""
        found: Json = json.loads(self.curl(path))
        return found

    def f(self, path: str, *options: str) -> Any:
        """A document of F."""
        return json.loads(self._curl(f"http://{self.host}:18810{path}", *options))

    def _curl(self, url: str, *options: str) -> bytes:
        command = ["curl", "-sS", "--max-time", str(PATIENCE), "-H", f"Authorization: Bearer {self.key}", *options, url]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout

    def answers(self) -> bool:
        """Whether its Service leads to it already: it is ready before that is so."""
        try:
            httpx.get(self.url)
        except httpx.TransportError:
            return False
        return True

    def submit(self, url: str, **video: object) -> Json:
        """A task of one video, as the reference's quick start makes it."""
        body = {"input": [{"type": "video_url", "url": url, **video}], "steps": PEOPLE, "model": "qwen-vl-max"}
        options = ["-X", "POST", "-H", "Content-Type: application/json", "-d", json.dumps(body)]
        made: Json = json.loads(self.curl("/v1/video/process", *options))
        assert made["status"] == "pending", made
        return made


def gateway_of(deployment: Deployment) -> Gateway:
    """That of a deployment, with a new key."""
    name = f"{deployment.release}-gateway"
    service = tools.get("service", name, deployment.namespace)
    assert service is not None
    command = ["python", "-m", "videofleet_gateway", "keys", "create", "e2e", deployment.namespace]
    key = tools.must("kubectl", "-n", deployment.namespace, "exec", f"deployment/{name}", "--", *command)
    gateway = Gateway(service["spec"]["clusterIP"], key.strip())
    eventually(gateway.answers, "the gateway answers through its Service")
    return gateway


def frames(log: bytes) -> list[int]:
    """The frame of each chunk but the last."""
    chunks = [json.loads(line[6:]) for line in log.splitlines() if line.startswith(b"data: {")]
    return [chunk["stream_info"]["frame_index"] for chunk in chunks if chunk["finish_reason"] is None]


@dataclass
class Subscriber:
    """Reads a stream to its end, over as many connections as it takes."""

    url: str
    key: str
    log: bytearray = field(default_factory=bytearray)
    connections: int = 0

    def read(self) -> None:
        """Until `[DONE]`; a lost connection is made again a moment later, as any client does."""
        deadline = time.monotonic() + PATIENCE
        # One client for all attempts: each makes a TLS context, and fifty that try again would take the processors from
        # the gateway that they wait for. However long nothing comes, the connection is kept: a next worker may take its
        # time, and a gateway that goes ends it.
        headers, timeout = {"Authorization": f"Bearer {self.key}"}, httpx.Timeout(PATIENCE, connect=30)
        with httpx.Client(headers=headers, timeout=timeout) as client:
            self._connect(client)
            while not self.done and time.monotonic() < deadline:
                time.sleep(0.5)
                self._connect(client)

    @property
    def done(self) -> bool:
        """Whether it has heard the end."""
        return b"\ndata: [DONE]\nid: " in self.log[-60:] and self.log.endswith(b"\n\n")

    def _connect(self, client: httpx.Client) -> None:
        self.connections += 1
        with (
            contextlib.suppress(httpx.HTTPError),
            client.stream("GET", f"{self.url}?offset={len(self.log)}") as response,
        ):
            if response.status_code == 200:
                for data in response.iter_raw():
                    self.log += data
