"""The few calls to the API server that the cluster's own set-up needs, with the admin's certificate."""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

from localcluster.errors import LocalClusterError
from localcluster.layout import API_PORT, BRIDGE_IP

TIMEOUT_S = 5.0


class ApiClient:
    """JSON over HTTPS; errors of the network stay OSError or http.client.HTTPException for callers that wait."""

    def __init__(self, pki: Path, host: str = BRIDGE_IP, port: int = API_PORT) -> None:
        self._address = (host, port)
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._tls.load_cert_chain(str(pki / "admin.crt"), str(pki / "admin.key"))

    def get(self, path: str) -> dict[str, Any] | None:
        """An object, or None where it is not there."""
        return self._request("GET", path, None, "application/json")

    def merge_patch(self, path: str, patch: dict[str, Any]) -> None:
        """JSON merge patch (RFC 7386)."""
        self._request("PATCH", path, patch, "application/merge-patch+json")

    def apply(self, path: str, content: dict[str, Any]) -> None:
        """Server-side apply: creates or updates, and may be repeated."""
        self._request("PATCH", f"{path}?fieldManager=localcluster&force=true", content, "application/apply-patch+yaml")

    def _request(self, method: str, path: str, body: dict[str, Any] | None, content_type: str) -> dict[str, Any] | None:
        connection = http.client.HTTPSConnection(*self._address, timeout=TIMEOUT_S, context=self._tls)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": content_type, "Accept": "application/json"})
            response = connection.getresponse()
            said = response.read()
        finally:
            connection.close()
        if response.status == 404 and method == "GET":
            return None
        if response.status >= 300:
            raise LocalClusterError(f"{method} {path}: the API server answered {response.status}: {said[:500]!r}")
        answer: dict[str, Any] = json.loads(said)
        return answer
