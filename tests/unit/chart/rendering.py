"""The chart as Helm renders it."""

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts/videofleet"
NAMESPACE = "site"
Json = dict[str, Any]


@functools.cache
def helm() -> str:
    """Path of helm: $HELM, or the one that localcluster builds."""
    if "HELM" in os.environ:
        return os.environ["HELM"]
    printed = subprocess.run(
        [sys.executable, "-m", "localcluster", "helm"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return printed.stdout.strip()


def run_helm(*arguments: str, values: Json | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm with values given as JSON, whatever its exit code."""
    return subprocess.run(
        [helm(), *arguments, "-f", "-"],
        input=json.dumps(values or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@dataclass(frozen=True)
class Rendered:
    """The objects of one rendering, the hooks of `helm test` among them."""

    objects: tuple[Json, ...]

    def of(self, kind: str, namespace: str | None = None) -> list[Json]:
        """All objects of a kind (in a namespace)."""
        found = [item for item in self.objects if item["kind"] == kind]
        return [item for item in found if namespace in (None, item["metadata"].get("namespace"))]

    def one(self, kind: str, name: str) -> Json:
        """The object of this kind and name."""
        found = [item for item in self.of(kind) if item["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} objects {kind}/{name}"
        return found[0]

    def container(self) -> Json:
        """The operator's container."""
        container: Json = self.pod_spec()["containers"][0]
        return container

    def pod_spec(self) -> Json:
        """The operator's pod."""
        spec: Json = self.one("Deployment", "videofleet-operator")["spec"]["template"]["spec"]
        return spec

    def environment(self) -> dict[str, str | None]:
        """The operator's environment; None for what the cluster fills in."""
        return {entry["name"]: entry.get("value") for entry in self.container()["env"]}


def render(**values: Any) -> Rendered:
    """Objects of the release `videofleet` in the namespace `site`."""
    result = run_helm("template", "videofleet", str(CHART), "-n", NAMESPACE, values=values)
    assert result.returncode == 0, result.stderr
    return Rendered(tuple(item for item in yaml.safe_load_all(result.stdout) if item))


def refusal(**values: Any) -> str:
    """What Helm says when it refuses these values."""
    result = run_helm("template", "videofleet", str(CHART), "-n", NAMESPACE, values=values)
    assert result.returncode != 0, "the values were accepted"
    return result.stderr
