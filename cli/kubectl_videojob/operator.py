"""Questions to the leading operator: through the API server's proxy, so that the rights of kubectl suffice."""

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar
from urllib.parse import urlencode

from pydantic import ValidationError

from kubectl_videojob.cluster import Cluster, Json, core_path, refusal
from kubectl_videojob.errors import ServerError, UserError
from kubectl_videojob.flags import Flags
from videofleet_api.explain import Refused
from videofleet_api.model import Document

DocumentT = TypeVar("DocumentT", bound=Document)
_LABELS: Final = "app.kubernetes.io/part-of=videofleet,app.kubernetes.io/component=operator"
_USUAL: Final = "videofleet/videofleet-operator"
_PORT_NAME, _PORT = "metrics", 8080
_TRIES: Final = 10
"""A service chooses one of its replicas at random, and only one of them knows."""
_TIMEOUT: Final = 10.0
_LONGEST: Final = 60.0
"""Seconds that an answer may take which the operator has to get from elsewhere."""


class _Call(NamedTuple):
    """What is asked; a body makes it a POST."""

    path: str
    query: Sequence[tuple[str, str]] = ()
    body: Json | None = None

    def through(self, cluster: Cluster, proxy: str) -> Json:
        """Ask through a proxy of the API server's. Raises ServerError."""
        if self.body is None:
            return cluster.get(f"{proxy}{self.path}", self.query)
        return cluster.create(f"{proxy}{self.path}", self.body, self.query)


class _Service(NamedTuple):
    namespace: str
    name: str


def ask(flags: Flags, path: str, uids: Sequence[str], answer: type[DocumentT]) -> DocumentT:
    """The operator's answer; the uids show what the asker may read. Raises UserError."""
    return _ask(flags, _Call(path, [("uid", uid) for uid in uids]), answer)


def have(flags: Flags, path: str, question: Document, answer: type[DocumentT]) -> DocumentT:
    """The operator's answer to a question that has something done. Raises UserError."""
    return _ask(flags, _Call(path, body=question.wire()), answer)


def _ask(flags: Flags, call: _Call, answer: type[DocumentT]) -> DocumentT:
    if flags.operator is not None and "://" in flags.operator:
        return _read(_direct(flags.operator, call), answer)
    # Of several operators one serves the namespace; the others know nothing of it.
    unknowing: list[ServerError] = []
    for service in _services(flags):
        try:
            return _read(_by_service(flags.cluster, service, call), answer)
        except ServerError as error:
            if error.status != 404:
                raise
            unknowing.append(error)
    raise unknowing[-1]


def _services(flags: Flags) -> list[_Service]:
    given = flags.operator
    if given is None:
        return _found(flags.cluster) or [_Service(*_USUAL.split("/"))]
    namespace, _, name = given.partition("/")
    if not namespace or not name:
        raise UserError(f"--operator {given}: give NAMESPACE/SERVICE, for example {_USUAL}, or a URL")
    return [_Service(namespace, name)]


def _found(cluster: Cluster) -> list[_Service]:
    """Operators of the cluster; none where the asker may not look for them."""
    try:
        listed = cluster.get(core_path("services"), {"labelSelector": _LABELS})
    except ServerError as error:
        if error.status == 403:
            return []
        raise
    return [_Service(each["metadata"]["namespace"], each["metadata"]["name"]) for each in listed["items"]]


def _by_service(cluster: Cluster, service: _Service, call: _Call) -> Json:
    proxy = f"{core_path('services', service.namespace, f'{service.name}:{_PORT_NAME}')}/proxy"
    for attempt in range(1, _TRIES + 1):
        try:
            return call.through(cluster, proxy)
        except ServerError as error:
            leader = _leader(error)
            if leader is None or attempt == _TRIES:
                raise _explained(error, service, call) from None
        answer = _by_pod(cluster, service.namespace, leader, call) if attempt == 1 else None
        if answer is not None:
            return answer
    raise AssertionError("the last try returns or raises")


def _by_pod(cluster: Cluster, namespace: str, pod: str, call: _Call) -> Json | None:
    """None where pods' proxy is not for the asker: then the service has to choose the leader by chance."""
    try:
        return call.through(cluster, f"{core_path('pods', namespace, f'{pod}:{_PORT}')}/proxy")
    except ServerError:
        return None


def _direct(address: str, call: _Call) -> Json:
    url = f"{address.rstrip('/')}{call.path}?{urlencode(call.query)}"
    body = None if call.body is None else json.dumps(call.body).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"} if body else {})
    try:
        with urllib.request.urlopen(request, timeout=_LONGEST if body else _TIMEOUT) as response:
            answer: Json = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        text = error.read()
        raise ServerError(refusal(text, error.code), error.code, text) from None
    except (OSError, ValueError) as error:
        raise ServerError(f"the operator cannot be reached at --operator {address}: {error}", 0) from None


def _leader(error: ServerError) -> str | None:
    """Who leads, where a replica that does not said so."""
    try:
        return Refused.model_validate_json(error.body).leader
    except ValidationError:
        return None


def _explained(error: ServerError, service: _Service, call: _Call) -> ServerError:
    where = f"{service.namespace}/{service.name}"
    if error.status == 403:
        verb, whose = ("get", "askers") if call.body is None else ("create", "probers")
        message = (
            f"{error}: to ask the operator takes `{verb}` on services/proxy of {service.name}:{_PORT_NAME} in "
            f"namespace {service.namespace} (the chart's operator.{whose}), or a port-forward and --operator URL"
        )
        return ServerError(message, error.status)
    if error.status == 404 and not _is_operators(error):
        return ServerError(f"no operator at {where}: give --operator NAMESPACE/SERVICE or a URL", error.status)
    return error


def _is_operators(error: ServerError) -> bool:
    try:
        Refused.model_validate_json(error.body)
    except ValidationError:
        return False
    return True


def _read(answer: Json, document: type[DocumentT]) -> DocumentT:
    try:
        return document.model_validate(answer)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise UserError(f"the operator speaks another version: {field}: {first['msg']}") from None
