"""How the leading operator is found behind the API server's proxy."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from kubectl_videojob.errors import UserError
from kubectl_videojob.flags import Flags
from kubectl_videojob.operator import ask, have
from videofleet_api.explain import Queue
from videofleet_api.probe import ProbeAnswer, ProbeQuestion

SERVICES = "/api/v1/services"
SERVICE = "/api/v1/namespaces/videofleet/services/videofleet-operator:metrics/proxy/v1/queue"
POD = "/api/v1/namespaces/videofleet/pods/operator-b:8080/proxy/v1/queue"
ANSWER = (200, {"length": 7, "jobs": []})
FOLLOWER = (503, {"error": "operator-b leads", "leader": "operator-b"})
UNKNOWING = (404, {"error": "give at least one uid"})
FORBIDDEN = (403, {"kind": "Status", "message": "you cannot get services/proxy"})
Answers = dict[str, list[tuple[int, Any]]]


class Server:
    """Plays the API server: answers of each path in turn, the last one for ever."""

    def __init__(self) -> None:
        self.answers: Answers = {SERVICES: [FORBIDDEN]}
        self.asked: list[str] = []
        self.bodies: list[Any] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.do_GET()

            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                server.asked.append(self.path)
                queue = server.answers.get(path, [(404, {"message": "not found"})])
                status, body = queue.pop(0) if len(queue) > 1 else queue[0]
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever)
    thread.start()
    yield made
    made.http.shutdown()
    thread.join()
    made.http.server_close()


@pytest.fixture
def flags(server: Server, tmp_path: Path) -> Flags:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": server.address}}],
        "users": [{"name": "u", "user": {"token": "constant"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return Flags(kubeconfig=str(path))


def asked(flags: Flags) -> int:
    return ask(flags, "/v1/queue", ["u1", "u2"], Queue).length


def test_who_may_not_look_for_it_asks_the_usual_one(server: Server, flags: Flags) -> None:
    server.answers[SERVICE] = [ANSWER]
    assert asked(flags) == 7
    assert server.asked[-1].endswith("?uid=u1&uid=u2")


def test_of_several_the_one_that_knows_answers(server: Server, flags: Flags) -> None:
    names = [("videofleet", "videofleet-operator"), ("north", "n-operator")]
    items = [{"metadata": {"namespace": namespace, "name": name}} for namespace, name in names]
    server.answers[SERVICES] = [(200, {"items": items})]
    server.answers[SERVICE] = [UNKNOWING]
    server.answers["/api/v1/namespaces/north/services/n-operator:metrics/proxy/v1/queue"] = [ANSWER]
    assert asked(flags) == 7


def test_a_replica_that_does_not_lead_names_the_one_that_does(server: Server, flags: Flags) -> None:
    server.answers |= {SERVICE: [FOLLOWER], POD: [ANSWER]}
    assert asked(flags) == 7


def test_who_may_not_ask_pods_asks_until_the_leader_is_chosen(server: Server, flags: Flags) -> None:
    server.answers |= {SERVICE: [FOLLOWER, FOLLOWER, FOLLOWER, ANSWER], POD: [FORBIDDEN]}
    assert asked(flags) == 7


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({SERVICE: [FOLLOWER]}, "operator-b leads"),
        ({SERVICE: [UNKNOWING]}, "give at least one uid"),
        ({SERVICE: [FORBIDDEN]}, r"you cannot get services/proxy: .* `get` on services/proxy of videofleet-operator"),
        ({}, "no operator at videofleet/videofleet-operator: give --operator"),
        ({SERVICE: [(200, {"length": "many"})]}, "the operator speaks another version: length: "),
    ],
)
def test_refusals(server: Server, flags: Flags, answers: Answers, message: str) -> None:
    server.answers |= answers
    with pytest.raises(UserError, match=message):
        asked(flags)


def test_a_url_is_asked_directly(server: Server) -> None:
    server.answers["/v1/queue"] = [ANSWER]
    assert asked(Flags(operator=f"{server.address}/")) == 7
    server.answers["/v1/queue"] = [UNKNOWING]
    with pytest.raises(UserError, match="give at least one uid"):
        asked(Flags(operator=server.address))


@pytest.mark.parametrize("given", ["videofleet", "/x", "x/"])
def test_what_names_no_operator(flags: Flags, given: str) -> None:
    with pytest.raises(UserError, match=f"--operator {given}: give NAMESPACE/SERVICE"):
        asked(Flags(kubeconfig=flags.kubeconfig, operator=given))


def test_a_question_that_has_something_done_is_posted(server: Server, flags: Flags) -> None:
    probe = "/api/v1/namespaces/videofleet/services/videofleet-operator:metrics/proxy/v1/probe"
    server.answers[probe] = [(200, {"worker": "w", "pool": "a/b", "report": {"works": True}})]
    question = ProbeQuestion(job="u1", timeout=5)
    assert have(flags, "/v1/probe", question, ProbeAnswer).report.works
    assert server.bodies == [{"job": "u1", "timeout": 5.0}]
    server.answers[probe] = [FORBIDDEN]
    with pytest.raises(UserError, match=r"takes `create` on services/proxy .*operator\.probers"):
        have(flags, "/v1/probe", question, ProbeAnswer)
