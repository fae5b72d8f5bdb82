"""`kubectl videojob explain`: why a job is where it is."""

import datetime
import json
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from kubectl_videojob.cluster import Json, jobs_path
from kubectl_videojob.console import clock, messages, moment, output, phase_text, since, span, table, utc_now
from kubectl_videojob.errors import UserError
from kubectl_videojob.flags import Flags
from kubectl_videojob.operator import ask
from videofleet_api.explain import Explanation, PoolOutlook
from videofleet_api.phases import Phase

_INDENT = (0, 0, 0, 2)


def explain(
    flags: Flags,
    name: Annotated[str, typer.Argument(help="Name of the VideoJob.")],
    form: Annotated[str | None, typer.Option("--output", "-o", help="json: for scripts.")] = None,
) -> None:
    """Say why a job is where it is: what holds it back, with counts, its place in the queue, its last transitions."""
    if form not in (None, "json"):
        raise UserError(f"--output {form}: only json is known; without it people are told")
    job = flags.cluster.get(jobs_path(flags.cluster.namespace, name))
    found, problem = _ask(flags, job)
    if form == "json":
        document = {"job": job["metadata"], "status": job.get("status") or {}, "explanation": found and found.wire()}
        print(json.dumps(document | ({"problem": problem} if problem else {}), indent=2))
        return
    show(output(), job, found, utc_now())
    if problem:
        messages().print(f"without counts, because the operator was not asked: {problem}")


def _ask(flags: Flags, job: Json) -> tuple[Explanation | None, str | None]:
    meta = job["metadata"]
    try:
        return ask(flags, f"/v1/explain/{meta['namespace']}/{meta['name']}", [meta["uid"]], Explanation), None
    except UserError as error:
        return None, str(error)


def show(console: Console, job: Json, found: Explanation | None, now: datetime.datetime) -> None:
    """Everything that is known of a job."""
    status = job.get("status") or {}
    console.print(_headline(job["metadata"]["name"], status, now))
    told = found.summary if found is not None and found.waiting else status.get("message")
    if told:
        console.print(Padding(told, _INDENT))
    if ill := _ill_source(status, now):
        console.print(Padding(ill, _INDENT))
    for title, body in _sections(status, found, now):
        console.print(f"\n{title}")
        console.print(Padding(body, _INDENT))


def _headline(name: str, status: Json, now: datetime.datetime) -> Text:
    line = Text(f"{name}  ").append(phase_text(status.get("phase", Phase.AWAITING)))
    if status.get("reason"):
        line.append(f"  {status['reason']}")
    if status.get("since"):
        line.append(f"  since {since(status['since'], now)}")
    if worker := status.get("worker"):
        line.append(f"  on {worker['name']}")
    if move := status.get("move"):
        line.append(f", moving to {move['worker']['name']}")
    return line


def _ill_source(status: Json, now: datetime.datetime) -> str | None:
    """What is wrong with the frames of a job that runs."""
    for condition in status.get("conditions") or ():
        if condition["type"] == "SourceHealthy" and condition["status"] == "False":
            age = since(condition["lastTransitionTime"], now)
            return f"source {condition['reason']} for {age}: {condition['message']}"
    return None


def _sections(status: Json, found: Explanation | None, now: datetime.datetime) -> Iterator[tuple[str, RenderableType]]:
    if found is not None and found.causes:
        rows = [(each.reason, each.message) for each in found.causes]
        yield "What holds it back", table(("REASON", "HOW MUCH"), rows)
    if found is not None and found.waiting and found.pools:
        yield "Pools", table(("POOL", "TAKES IT", "WORKERS", "SLOTS"), map(_pool_row, found.pools))
    again = list(_again(status, now))
    if again:
        yield "Tries", table(("", ""), again)
    if history := status.get("history"):
        yield "History", table(("TIME", "FROM", "TO", "REASON", "MESSAGE"), map(_transition_row, history))


def _pool_row(pool: PoolOutlook) -> tuple[str, str, str, str]:
    held_back = ", ".join(f"{count} {what}" for what, count in sorted(pool.held_back.items()))
    workers = f"{pool.workers} ({held_back})" if held_back else str(pool.workers)
    takes = "yes" if pool.refusal is None else f"no, {pool.refusal}"
    return pool.pool, takes, workers, f"{pool.slots_used} of {pool.slots_total} used"


def _again(status: Json, now: datetime.datetime) -> Iterator[tuple[str, str]]:
    if error := status.get("lastError"):
        yield "last error", f"{error['code']}, {since(error['time'], now)} ago: {error['message']}"
    if attempt := status.get("attempt"):
        yield "failed attempts", str(attempt)
    due = moment(status.get("nextRetryTime"))
    if due is not None:
        yield "next try", f"in {span((due - now).total_seconds())}" if due > now else "now"
    if excluded := status.get("excludedWorkers"):
        yield "passed over", ", ".join(each["name"] for each in excluded)


def _transition_row(entry: Json) -> tuple[str | Text, ...]:
    return (
        clock(entry.get("time")),
        phase_text(entry.get("from", "")),
        phase_text(entry.get("to", "")),
        entry.get("reason", ""),
        entry.get("message", ""),
    )
