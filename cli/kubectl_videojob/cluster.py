"""The API server of a kubeconfig: plain requests and watches, with refusals as sentences."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import urllib3
from kubernetes import client, config

from kubectl_videojob.errors import ServerError, UserError
from videofleet_api.names import API_VERSION

Json = dict[str, Any]
Query = Mapping[str, str] | Sequence[tuple[str, str]]
_CONNECT, _READ = 10.0, 60.0
_GONE = 410
_FORGOTTEN = frozenset({404, _GONE})


class Cluster:
    """One context of a kubeconfig."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self._api = api
        self.namespace = namespace
        """That of --namespace, or of the context."""

    @classmethod
    def connect(cls, kubeconfig: str | None, context: str | None, namespace: str | None) -> "Cluster":
        """From the same sources as kubectl: flag, $KUBECONFIG, ~/.kube/config; inside a pod, its service account."""
        settings = client.Configuration()
        # The library looks at the variable once, when it is imported.
        kubeconfig = kubeconfig or os.environ.get("KUBECONFIG")
        try:
            config.load_config(config_file=kubeconfig, context=context, client_configuration=settings)
            found = namespace or _context_namespace(kubeconfig, context)
        except config.ConfigException as error:
            raise UserError(f"no usable kubeconfig: {error} (give --kubeconfig, or set KUBECONFIG)") from None
        # A server that is away is told at once.
        settings.retries = False
        return cls(client.ApiClient(settings), found or "default")

    def get(self, path: str, query: Query | None = None) -> Json:
        """A GET. Raises ServerError."""
        return self.request("GET", path, query)

    def uid(self, path: str) -> str:
        """The uid of an object, without the object: of a Secret nothing else comes here. Raises ServerError."""
        accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
        return str(self.request("GET", path, accept=accept)["metadata"]["uid"])

    def find(self, path: str) -> Json | None:
        """An object, None where it is not there."""
        try:
            return self.get(path)
        except ServerError as error:
            if error.status == 404:
                return None
            raise

    def merge(self, path: str, patch: Json) -> Json:
        """A merge patch."""
        return self.request("PATCH", path, None, patch, "application/merge-patch+json")

    def create(self, path: str, body: Json, query: Query | None = None) -> Json:
        """A POST."""
        return self.request("POST", path, query, body)

    def request(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Json:
        """A request and its JSON answer. Raises ServerError."""
        response = self._send(method, path, query, body, content_type, _READ, accept)
        try:
            return _parsed(response.read())
        finally:
            response.release_conn()

    def follow(self, path: str, query: Mapping[str, str], since: Json | None = None) -> Iterator[tuple[str, Json]]:
        """Objects of a collection as they are and then every change, for ever: (ADDED, MODIFIED or DELETED, object).

        `since`: the only object that there is, as it was seen; every change after that is told, however fast they came.
        After an interruption everything is listed anew; what went meanwhile is told as DELETED.
        """
        known: dict[str, Json] = {}
        if since is not None:
            known[since["metadata"]["uid"]] = since
            yield from self._changes(path, query, since["metadata"]["resourceVersion"], known)
        while True:
            listed = self.get(path, query)
            items = {each["metadata"]["uid"]: each for each in listed["items"]}
            yield from (("DELETED", known[uid]) for uid in known.keys() - items.keys())
            yield from (("ADDED", each) for uid, each in items.items() if _version(known.get(uid)) != _version(each))
            known = items
            yield from self._changes(path, query, listed["metadata"]["resourceVersion"], known)

    def _changes(
        self, path: str, query: Mapping[str, str], version: str, known: dict[str, Json]
    ) -> Iterator[tuple[str, Json]]:
        """Changes after a version until the server ends them; `known` is kept up to date."""
        for event in self._watch(path, {**query, "resourceVersion": version}):
            body = event["object"]
            if event["type"] == "DELETED":
                known.pop(body["metadata"]["uid"], None)
            else:
                known[body["metadata"]["uid"]] = body
            yield event["type"], body

    def _watch(self, path: str, query: Mapping[str, str]) -> Iterator[Json]:
        """Until the server ends it."""
        try:
            response = self._send("GET", path, {**query, "watch": "true", "timeoutSeconds": "300"}, None, "", None)
        except ServerError as error:
            if error.status in _FORGOTTEN:
                return
            raise
        rest = b""
        try:
            for chunk in response.stream():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return
                    yield event
        except urllib3.exceptions.HTTPError:
            return
        finally:
            response.close()

    def _send(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: Json | None,
        content_type: str,
        read_timeout: float | None,
        accept: str = "application/json",
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": accept} | ({"Content-Type": content_type} if body is not None else {})
        request = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items() if isinstance(query, Mapping) else query or ()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            called = self._api.call_api(*request, _request_timeout=(_CONNECT, read_timeout))
        except (urllib3.exceptions.HTTPError, client.ApiException) as error:
            host = self._api.configuration.host
            raise ServerError(f"the API server {host} cannot be reached: {_brief(error)}", 0) from None
        answer: urllib3.BaseHTTPResponse = called.response
        if answer.status >= 400:
            text = answer.read()
            answer.release_conn()
            raise ServerError(refusal(text, answer.status), answer.status, text)
        return answer


def jobs_path(namespace: str | None, name: str = "") -> str:
    """Path of VideoJobs; `namespace` None: of all namespaces."""
    return _path("videojobs", namespace, name)


def pools_path(namespace: str | None, name: str = "") -> str:
    """Path of WorkerPools; `namespace` None: of all namespaces."""
    return _path("workerpools", namespace, name)


def core_path(kind: str, namespace: str | None = None, name: str = "") -> str:
    """Path of pods, secrets, events, nodes or services."""
    where = f"namespaces/{namespace}/" if namespace else ""
    return f"/api/v1/{where}{kind}{f'/{name}' if name else ''}"


def _path(plural: str, namespace: str | None, name: str) -> str:
    where = f"namespaces/{namespace}/" if namespace else ""
    return f"/apis/{API_VERSION}/{where}{plural}{f'/{name}' if name else ''}"


def _version(body: Json | None) -> str | None:
    return None if body is None else body["metadata"]["resourceVersion"]


def _context_namespace(kubeconfig: str | None, context: str | None) -> str | None:
    try:
        contexts, active = config.list_kube_config_contexts(config_file=kubeconfig)
    except config.ConfigException:
        # Inside a pod there is none.
        return None
    chosen = next((each for each in contexts if each["name"] == context), active)
    namespace: str | None = chosen["context"].get("namespace")
    return namespace


def _parsed(text: bytes) -> Json:
    try:
        parsed: Json = json.loads(text)
    except ValueError:
        raise ServerError("the answer is no JSON: is this the address of an API server?", 0) from None
    return parsed


def refusal(text: bytes, status: int) -> str:
    """The server's own words: of a Status, or of an answer of the operator's."""
    try:
        body = json.loads(text)
        return str(body.get("message") or body["error"])
    except (ValueError, KeyError, AttributeError):
        return f"HTTP {status} {text[:200].decode(errors='replace')}".strip()


def _brief(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error).rpartition(": ")[2] or type(error).__name__
