"""kubectl, helm and the local cluster, called as a person would call them."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from examples.demo.console import DemoError

ROOT = Path(__file__).resolve().parents[2]
Json = dict[str, Any]
WAIT = 300
"""Seconds that kubectl and helm wait for what they are told to wait for."""
_LONGEST = WAIT + 60.0


def localcluster(*arguments: str) -> str:
    """Run `python3 -m localcluster`; its progress goes to the terminal. Returns what it printed as its answer."""
    result = subprocess.run(
        [sys.executable, "-m", "localcluster", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if result.returncode != 0:
        raise DemoError(f"`python3 -m localcluster {' '.join(arguments)}` failed; what it printed above says why")
    return result.stdout.strip()


@functools.cache
def kubeconfig() -> str:
    """Path of the cluster's kubeconfig."""
    return localcluster("kubeconfig")


@functools.cache
def program(name: str) -> str:
    """Path of kubectl or helm."""
    return localcluster(name)


def run(name: str, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run kubectl or helm against the cluster, whatever its exit code; DemoError if it does not come to an end."""
    try:
        return subprocess.run(
            [program(name), *arguments],
            cwd=ROOT,
            env={**os.environ, "KUBECONFIG": kubeconfig()},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST,
        )
    except subprocess.TimeoutExpired:
        said = f"`{name} {' '.join(arguments)}` has not ended within {_LONGEST:g} s"
        raise DemoError(f"{said}; `make status` says how the cluster is") from None


def must(name: str, *arguments: str, stdin: str | None = None) -> str:
    """Run kubectl or helm and return what it printed; DemoError with its own words if it fails."""
    result = run(name, *arguments, stdin=stdin)
    if result.returncode != 0:
        raise DemoError(f"`{name} {' '.join(arguments)}` failed: {result.stderr.strip()}")
    return result.stdout


def apply(manifest: Json | list[Json]) -> None:
    """Apply a manifest, or several."""
    items = manifest if isinstance(manifest, list) else [manifest]
    must("kubectl", "apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


def await_rollout(deployment: str, namespace: str) -> None:
    """Until a Deployment's pods are ready."""
    must("kubectl", "-n", namespace, "rollout", "status", f"deployment/{deployment}", f"--timeout={WAIT}s")


def get(kind: str, name: str, namespace: str) -> Json | None:
    """An object, or None."""
    text = must("kubectl", "get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
    return json.loads(text) if text.strip() else None


def get_all(kind: str, namespace: str, selector: str = "") -> list[Json]:
    """All objects of a kind in a namespace."""
    selected = ["-l", selector] if selector else []
    items: list[Json] = json.loads(must("kubectl", "get", kind, "-n", namespace, "-o", "json", *selected))["items"]
    return items
