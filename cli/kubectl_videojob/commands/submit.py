"""`kubectl videojob submit`: one job from one line."""

import json
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from kubectl_videojob import manifest
from kubectl_videojob.cluster import Cluster, Json, jobs_path
from kubectl_videojob.commands.tail import Lines, progress_words
from kubectl_videojob.console import messages, output
from kubectl_videojob.errors import DONE, NOT_COMPLETED, TIMED_OUT, UserError
from kubectl_videojob.flags import Flags
from kubectl_videojob.following import Outcome, follow, outcome

_ALL = 100.0


class Form(StrEnum):
    """How a manifest is printed."""

    YAML = "yaml"
    JSON = "json"


def submit(
    flags: Flags,
    source: Annotated[
        str, typer.Argument(metavar="URL_OR_FILE", help="Address of a camera, file or playlist; or a manifest (.yaml).")
    ],
    name: Annotated[str | None, typer.Option(help="Name of the VideoJob; made from the address without it.")] = None,
    model: Annotated[str | None, typer.Option(help="Detection model; the worker's default without it.")] = None,
    classes: Annotated[str | None, typer.Option(help="Only these classes: person,car.")] = None,
    confidence: Annotated[float | None, typer.Option(help="Least confidence that counts, 0 to 1.")] = None,
    track: Annotated[bool, typer.Option(help="Give objects identities over time.")] = True,
    single_pass: Annotated[bool, typer.Option("--single-pass", help="Run once: no restart after an end.")] = False,
    max_frames: Annotated[int | None, typer.Option(help="Stop after so many analysed frames.")] = None,
    sampling: Annotated[
        str | None, typer.Option(help="Frames that are analysed: all, keyframe, fps=5 or interval=3.")
    ] = None,
    credentials: Annotated[
        str | None, typer.Option(help="Secret with the keys username and password for the source.")
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", help="Label of the job, KEY=VALUE; repeatable.")
    ] = None,
    selector: Annotated[
        list[str] | None, typer.Option("--selector", help="Label that the pool must have, KEY=VALUE; repeatable.")
    ] = None,
    priority: Annotated[int | None, typer.Option(help="Higher starts first.")] = None,
    slots: Annotated[int | None, typer.Option(help="How much of a worker's capacity it takes.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Follow it to its end; exit codes as those of tail --until-done.")
    ] = False,
    timeout: Annotated[float | None, typer.Option(help="With --wait: seconds to wait at most.", min=0.1)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the manifest and send nothing.")] = False,
    form: Annotated[Form, typer.Option("--output", "-o", help="How --dry-run prints it.")] = Form.YAML,
) -> None:
    """Create a VideoJob from an address, or from a manifest whose fields the options replace."""
    body = manifest.base(source)
    spec = body["spec"]
    if model or classes or confidence is not None or not track:
        wanted = [each.strip() for each in classes.split(",")] if classes else None
        manifest.with_steps(spec, model, {"classes": wanted, "confidence": confidence}, track)
    fields: Json = {
        "singlePass": single_pass or None,
        "maxFrames": max_frames,
        "sampling": manifest.sampling(sampling) if sampling else None,
        "priority": priority,
        "slots": slots,
        "labels": {**(spec.get("labels") or {}), **manifest.pairs("--label", labels)} if labels else None,
        "workerSelector": {"matchLabels": manifest.pairs("--selector", selector)} if selector else None,
    }
    spec |= {key: value for key, value in fields.items() if value is not None}
    if credentials:
        spec["source"] = {**spec.get("source", {}), "credentialsSecretRef": {"name": credentials}}
    body["metadata"] |= {"name": name} if name else {}
    manifest.check(spec)
    if dry_run:
        print(_printed(body, form))
        return
    created = _create(flags, body)
    output().print(f"videojob/{created['metadata']['name']} created in {created['metadata']['namespace']}")
    if wait:
        _until_done(flags.cluster, created, timeout)


def _create(flags: Flags, body: Json) -> Json:
    given = body["metadata"].get("namespace")
    if flags.namespace and given and given != flags.namespace:
        raise UserError(f"the manifest is for namespace {given}, --namespace says {flags.namespace}: give one of them")
    path = jobs_path(given or flags.cluster.namespace)
    return flags.cluster.create(path, body, {"fieldValidation": "Strict", "fieldManager": "kubectl-videojob"})


def _printed(body: Json, form: Form) -> str:
    if form is Form.JSON:
        return json.dumps(body, indent=2)
    return str(yaml.safe_dump(body, sort_keys=False)).rstrip()


def _until_done(cluster: Cluster, job: Json, timeout: float | None) -> None:
    name = job["metadata"]["name"]
    try:
        end = _with_bar(cluster, job, timeout) if messages().is_terminal else _with_lines(cluster, job, timeout)
    except TimeoutError:
        raise UserError(f"VideoJob {name} is not done after {timeout:g} s", TIMED_OUT) from None
    if end.code != DONE:
        raise UserError(f"VideoJob {name} did not complete: {end.message}", end.code)


def _with_lines(cluster: Cluster, job: Json, timeout: float | None) -> Outcome:
    console, lines = output(), Lines()
    for change in follow(cluster, job, timeout=timeout):
        for line in lines.of(change):
            console.print(line, soft_wrap=True)
        if change.deleted:
            return Outcome(NOT_COMPLETED, "it was deleted")
        if change.job is not None and (end := outcome(change.job)) is not None:
            return end
    raise AssertionError("changes have no end")


def _with_bar(cluster: Cluster, job: Json, timeout: float | None) -> Outcome:
    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
    ]
    with Progress(*columns, console=messages()) as bar:
        task = bar.add_task("AWAITING", total=None, told="")
        for change in follow(cluster, job, timeout=timeout):
            if change.deleted:
                return Outcome(NOT_COMPLETED, "it was deleted")
            if change.job is None:
                continue
            status = change.job.get("status") or {}
            told = ", ".join(progress_words(status)) or status.get("reason") or ""
            share = _share(status)
            total = None if share is None else _ALL
            bar.update(task, description=status.get("phase", "AWAITING"), told=told, total=total, completed=share)
            if (end := outcome(change.job)) is not None:
                return end
    raise AssertionError("changes have no end")


def _share(status: Json) -> float | None:
    """Percent that are done; the bar swings while nobody knows the length."""
    percent = ((status.get("progress") or {}).get("percent") or "").removesuffix("%").strip()
    return float(percent) if percent.isdigit() else None
