"""`kubectl videojob top`: live figures of pools, jobs and nodes."""

import time
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Final

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kubectl_videojob.cluster import Cluster, jobs_path, pools_path
from kubectl_videojob.console import output, phase_text, table
from kubectl_videojob.flags import Flags
from kubectl_videojob.operator import ask
from videofleet_api.explain import JobLoad, PoolLoad, Queue, QueuedJob, Top, WorkerLoad

Cells = Sequence[str | Text]


class View(StrEnum):
    """What the table is about."""

    POOLS = "pools"
    JOBS = "jobs"
    NODES = "nodes"
    QUEUE = "queue"


def top(
    flags: Flags,
    view: Annotated[View, typer.Argument(help="What the table is about.")] = View.POOLS,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Print it once; also where the output is no terminal.")] = False,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.2)] = 2.0,
) -> None:
    """Show workers, slots, frames a second, dropped frames and restarts, as the workers told them last.

    The queue is what waits, in the order in which it will start.
    """
    namespace = None if everywhere else flags.cluster.namespace
    console = output()
    if once or not console.is_terminal:
        console.print(_look(flags, namespace, view))
        return
    with Live(_look(flags, namespace, view), console=console, screen=False, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            live.update(_look(flags, namespace, view), refresh=True)


def _look(flags: Flags, namespace: str | None, view: View) -> Table | str:
    uids = _opening(flags.cluster, namespace)
    if not uids:
        return f"no VideoJob and no WorkerPool in {f'namespace {namespace}' if namespace else 'any namespace'}"
    if view is View.QUEUE:
        return queue_table(ask(flags, "/v1/queue", uids, Queue))
    return TABLES[view](ask(flags, "/v1/top", uids, Top))


def _opening(cluster: Cluster, namespace: str | None) -> list[str]:
    """The uid of one object in each namespace: it shows the operator what the asker may read."""
    found: dict[str, str] = {}
    for path in (pools_path(namespace), jobs_path(namespace)):
        # With a namespace of its own one object is enough.
        listed = cluster.get(path, {"limit": "1"} if namespace else None)
        found |= {each["metadata"]["namespace"]: each["metadata"]["uid"] for each in listed["items"]}
    return sorted(found.values())


def pools_table(loads: Top) -> Table:
    """A line a pool."""
    headers = ("POOL", "WORKERS", "SLOTS", "JOBS", "FPS", "DROPPED", "RESTARTS")
    return table(headers, (_pool_row(each) for each in loads.pools))


def jobs_table(loads: Top) -> Table:
    """A line a job."""
    headers = ("NAMESPACE", "NAME", "PHASE", "WORKER", "FPS", "SOURCE FPS", "DROPPED", "RESTARTS")
    return table(headers, (_job_row(each) for each in loads.jobs))


def nodes_table(loads: Top) -> Table:
    """A line a node that has workers."""
    by_node: dict[str, list[WorkerLoad]] = {}
    for worker in loads.workers:
        by_node.setdefault(worker.node or "(none yet)", []).append(worker)
    headers = ("NODE", "WORKERS", "SLOTS", "JOBS", "FPS", "DROPPED", "RESTARTS")
    return table(headers, (_node_row(node, by_node[node]) for node in sorted(by_node)))


def queue_table(waiting: Queue) -> Table:
    """A line a job that waits."""
    headers = ("POSITION", "NAMESPACE", "NAME", "PRIORITY", "REASON", "MESSAGE")
    return table(headers, (_queue_row(each, waiting.length) for each in waiting.jobs))


TABLES: Final[dict[View, Callable[[Top], Table]]] = {
    View.POOLS: pools_table,
    View.JOBS: jobs_table,
    View.NODES: nodes_table,
}


def _pool_row(load: PoolLoad) -> Cells:
    return (
        load.pool,
        f"{load.workers_ready}/{load.workers}",
        f"{load.slots_used}/{load.slots_total}",
        str(load.jobs),
        f"{load.fps:.1f}",
        str(load.dropped),
        str(load.restarts),
    )


def _job_row(load: JobLoad) -> Cells:
    return (
        load.namespace,
        load.name,
        phase_text(load.phase),
        load.worker or "-",
        _rate(load.fps),
        _rate(load.source_fps),
        str(load.dropped),
        str(load.restarts),
    )


def _queue_row(job: QueuedJob, length: int) -> Cells:
    place = "-" if job.position is None else f"{job.position} of {length}"
    return place, job.namespace, job.name, str(job.priority), job.reason, job.message


def _node_row(node: str, workers: list[WorkerLoad]) -> Cells:
    ready = [worker for worker in workers if worker.ready]
    return (
        node,
        f"{len(ready)}/{len(workers)}",
        f"{_sum(worker.slots_used for worker in workers)}/{_sum(worker.slots_total for worker in ready)}",
        _sum(worker.jobs for worker in workers),
        f"{sum(worker.fps for worker in workers):.1f}",
        _sum(worker.dropped for worker in workers),
        _sum(worker.restarts for worker in workers),
    )


def _sum(numbers: Iterable[int]) -> str:
    return str(sum(numbers))


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1f}"
