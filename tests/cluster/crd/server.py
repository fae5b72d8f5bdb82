"""The custom resources on a real API server, under an API group of the tests' own.

The same schemas and rules are there as under the real group, but no operator looks after the objects, and whatever else
runs in the cluster is left alone.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from tests.support.kubectl import eventually

ROOT = Path(__file__).resolve().parents[3]
GROUP = "crdtest.videofleet.io"
VERSION = "v1alpha1"
PLURALS = {"VideoJob": "videojobs", "WorkerPool": "workerpools", "VideoLicense": "videolicenses"}
Json = dict[str, Any]
_UNCHECKED = "some validation rules were not checked"
# An older API server names the kind of the value in between.
_LEAD = re.compile(r'^Invalid value: ("object": )?')


def crds() -> Iterator[Json]:
    """The generated CRDs, moved to the tests' group."""
    for plural in PLURALS.values():
        definition: Json = yaml.safe_load((ROOT / f"crds/{plural}.yaml").read_text())
        definition["metadata"]["name"] = f"{plural}.{GROUP}"
        definition["spec"]["group"] = GROUP
        yield definition


def kubectl(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run kubectl against $KUBECONFIG, whatever its exit code."""
    program = os.environ.get("KUBECTL") or _built_kubectl()
    return subprocess.run([program, *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=120)


def _built_kubectl() -> str:
    command = [sys.executable, "-m", "localcluster", "kubectl"]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@dataclass(frozen=True)
class Refusal:
    """What the server says when it refuses an object, without its remark that it went no further."""

    text: str
    causes: frozenset[tuple[str, str]]
    """Field and sentence of each cause."""

    @classmethod
    def of(cls, error: ApiException) -> "Refusal":
        """Parse the server's answer."""
        text = str(error.body)
        causes = (json.loads(text).get("details") or {}).get("causes") or []
        said = ((cause.get("field", ""), _LEAD.sub("", cause["message"])) for cause in causes)
        return cls(text, frozenset((field, sentence) for field, sentence in said if _UNCHECKED not in sentence))


@dataclass(frozen=True)
class Server:
    """The API server, and the namespace of the tests."""

    client: client.ApiClient
    namespace: str

    def install(self) -> None:
        """Make the CRDs and wait until objects can be made of them."""
        api: Any = client.ApiextensionsV1Api(self.client)
        for definition in crds():
            api.create_custom_resource_definition(definition)
        for plural in PLURALS.values():
            eventually(partial(self._serves, plural), f"the server serves {plural}.{GROUP}")

    def remove(self) -> None:
        """Remove the CRDs and every object of them, and wait until they are gone."""
        api: Any = client.ApiextensionsV1Api(self.client)
        for name in self._left(api):
            api.delete_custom_resource_definition(name)
        eventually(lambda: not self._left(api), f"the CRDs of {GROUP} are gone")

    def _left(self, api: Any) -> list[str]:
        present = [item.metadata.name for item in api.list_custom_resource_definition().items]
        return [name for name in present if name.endswith(f".{GROUP}")]

    def _serves(self, plural: str) -> bool:
        try:
            client.CustomObjectsApi(self.client).list_cluster_custom_object(GROUP, VERSION, plural)
        except ApiException as error:
            # The last two come while it prepares to serve them.
            if error.status in (404, 429, 503):
                return False
            raise
        return True

    def create(self, kind: str, spec: Json, name: str = "tried", *, dry_run: bool = True) -> Json:
        """Create an object and return it as the server would store it. ApiException where it is refused."""
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": {"name": name}, "spec": spec}
        api: Any = client.CustomObjectsApi(self.client)
        options: Json = {"dry_run": "All"} if dry_run else {}
        options["field_validation"] = "Strict"
        if kind == "VideoLicense":
            made = api.create_cluster_custom_object(GROUP, VERSION, PLURALS[kind], body, **options)
        else:
            made = api.create_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURALS[kind], body, **options)
        return dict(made)

    def refusal(self, kind: str, spec: Json, name: str = "tried") -> Refusal:
        """What the server says against this spec; AssertionError where it takes it."""
        try:
            self.create(kind, spec, name)
        except ApiException as error:
            return Refusal.of(error)
        raise AssertionError(f"{kind} was accepted: {spec}")
