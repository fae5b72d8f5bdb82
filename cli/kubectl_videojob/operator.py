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
Query = Sequence[tuple[str, str]]


class _Service(NamedTuple):
    namespace: str
    name: str


def ask(flags: Flags, path: str, uids: Sequence[str], answer: type[DocumentT]) -> DocumentT:
    """The operator's answer; the uids show what the asker may read. Raises UserError."""
    query = [("uid", uid) for uid in uids]
    if flags.operator is not None and "://" in flags.operator:
        return _read(_direct(flags.operator, path, query), answer)
    # Of several operators one serves the namespace; the others know nothing of it.
    unknowing: list[ServerError] = []
    for service in _services(flags):
        try:
            return _read(_by_service(flags.cluster, service, path, query), answer)
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


def _by_service(cluster: Cluster, service: _Service, path: str, query: Query) -> Json:
    proxy = f"{core_path('services', service.namespace, f'{service.name}:{_PORT_NAME}')}/proxy{path}"
    for attempt in range(1, _TRIES + 1):
        try:
            return cluster.get(proxy, query)
        except ServerError as error:
            leader = _leader(error)
            if leader is None or attempt == _TRIES:
                raise _explained(error, service) from None
        answer = _by_pod(cluster, service.namespace, leader, path, query) if attempt == 1 else None
        if answer is not None:
            return answer
    raise AssertionError("the last try returns or raises")


def _by_pod(cluster: Cluster, namespace: str, pod: str, path: str, query: Query) -> Json | None:
    """None where pods' proxy is not for the asker: then the service has to choose the leader by chance."""
    try:
        return cluster.get(f"{core_path('pods', namespace, f'{pod}:{_PORT}')}/proxy{path}", query)
    except ServerError:
        return None


def _direct(address: str, path: str, query: Query) -> Json:
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}{path}?{urlencode(query)}", timeout=_TIMEOUT) as response:
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


def _explained(error: ServerError, service: _Service) -> ServerError:
    where = f"{service.namespace}/{service.name}"
    if error.status == 403:
        message = (
            f"{error}: to ask the operator takes `get` on services/proxy of {service.name}:{_PORT_NAME} in namespace "
            f"{service.namespace} (the chart's operator.askers), or a port-forward and --operator URL"
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
