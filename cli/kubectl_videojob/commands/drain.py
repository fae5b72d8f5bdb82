"""`kubectl videojob drain`: empty a worker, a pool or a node, without stopping a stream where that is possible."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from kubectl_videojob.cluster import Cluster, Json, core_path, jobs_path, pools_path
from kubectl_videojob.console import messages, output
from kubectl_videojob.errors import TIMED_OUT, ServerError, UserError
from kubectl_videojob.flags import Flags
from videofleet_api.names import ANNOTATION_DRAIN, DRAIN_WANTED, LABEL_POOL

_LOOK: Final = 0.5
"""Seconds between two looks at what is still there."""


@dataclass(frozen=True)
class Target:
    """What is drained."""

    told: str
    annotated: tuple[str, ...]
    """Paths of the pods or the pool that get the annotation."""
    holds: Callable[[Json], bool]
    """Whether a job with this status.worker is still there."""
    cordoned: str | None = None
    """Path of the node that takes no pods meanwhile."""


def drain(
    flags: Flags,
    what: Annotated[str, typer.Argument(metavar="POD | pool/NAME | node/NAME", help="What is to become empty.")],
    undo: Annotated[bool, typer.Option("--undo", help="Let it take jobs again.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until no job is left there. Exit code 4: --timeout.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)] = 600,
) -> None:
    """Give nothing new to a worker, to a pool's workers, or to those on a node, and have their jobs go elsewhere.

    A stream that runs is stopped there once another worker has its first frame; one that has nowhere to go stays. A
    node is cordoned, too.
    """
    if undo and wait:
        raise UserError("--undo and --wait exclude each other: what takes jobs again is not waited for")
    cluster = flags.cluster
    target = _target(cluster, what)
    if target.cordoned:
        cluster.merge(target.cordoned, {"spec": {"unschedulable": None if undo else True}})
    for path in target.annotated:
        cluster.merge(path, {"metadata": {"annotations": {ANNOTATION_DRAIN: None if undo else DRAIN_WANTED}}})
    output().print(f"{target.told} {'takes jobs again' if undo else 'is being drained'}")
    if wait:
        _wait(cluster, target, timeout)


def _target(cluster: Cluster, what: str) -> Target:
    kind, slash, name = what.rpartition("/")
    match kind:
        case "" if not slash:
            return _pod(cluster, name)
        case "pod":
            return _pod(cluster, name)
        case "pool":
            key = f"{cluster.namespace}/{name}"
            path = pools_path(cluster.namespace, name)
            return Target(f"pool {key}", (path,), lambda worker: worker.get("pool") == key)
        case "node":
            return _node(cluster, name)
        case _:
            raise UserError(f"{what}: give POD, pool/NAME or node/NAME")


def _pod(cluster: Cluster, name: str) -> Target:
    path = core_path("pods", cluster.namespace, name)
    pod = cluster.get(path)
    if LABEL_POOL not in (pod["metadata"].get("labels") or {}):
        raise UserError(f"pod {name} is no worker: it lacks the label {LABEL_POOL}")
    uid = pod["metadata"]["uid"]
    return Target(f"worker {name}", (path,), lambda worker: worker.get("id") == uid)


def _node(cluster: Cluster, name: str) -> Target:
    on_it = {"labelSelector": LABEL_POOL, "fieldSelector": f"spec.nodeName={name}"}
    pods = [each["metadata"] for each in cluster.get(core_path("pods"), on_it)["items"]]
    uids = {pod["uid"] for pod in pods}
    return Target(
        f"node {name} ({len(pods)} workers)",
        tuple(core_path("pods", pod["namespace"], pod["name"]) for pod in pods),
        lambda worker: worker.get("id") in uids,
        cordoned=core_path("nodes", None, name),
    )


def _wait(cluster: Cluster, target: Target, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    console = messages()
    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        left = _left(cluster, target)
        task = bar.add_task("jobs moved", total=len(left))
        most = len(left)
        while left:
            if time.monotonic() > deadline:
                raise UserError(f"{target.told} still has {', '.join(left[:5])} after {timeout:g} s", TIMED_OUT)
            time.sleep(_LOOK)
            left = _left(cluster, target)
            most = max(most, len(left))
            bar.update(task, total=most, completed=most - len(left))
    output().print(f"{target.told} is empty")


def _left(cluster: Cluster, target: Target) -> list[str]:
    """Jobs that are still there: of all namespaces, or where those may not be read, of the own one."""
    try:
        listed = cluster.get(jobs_path(None))
    except ServerError as error:
        if error.status != 403:
            raise
        listed = cluster.get(jobs_path(cluster.namespace))
    return [
        f"{each['metadata']['namespace']}/{each['metadata']['name']}"
        for each in listed["items"]
        if target.holds((each.get("status") or {}).get("worker") or {})
    ]
