"""`kubectl videojob probe`: what a source is like, as a worker of a pool sees it, or why it does not work."""

import json
from collections.abc import Iterator
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer
from rich.console import Console

from kubectl_videojob.cluster import Json, core_path, jobs_path, pools_path
from kubectl_videojob.console import output, table
from kubectl_videojob.errors import UserError
from kubectl_videojob.flags import Flags
from kubectl_videojob.operator import have
from videofleet_api.probe import LONGEST_PROBE, USUAL_PROBE, ProbeAnswer, ProbeQuestion, ProbeReport
from videofleet_api.source import SecretRef, Source, Transport

NO_FRAMES: Final = 1


def probe(
    flags: Flags,
    source: Annotated[str, typer.Argument(metavar="URL|NAME", help="Address of a source, or name of a VideoJob.")],
    pool: Annotated[
        str | None,
        typer.Option(help="[NAMESPACE/]NAME of the WorkerPool that looks; the only one of the namespace without it."),
    ] = None,
    secret: Annotated[
        str | None, typer.Option(help="Secret of the namespace with the keys username and password, for a URL.")
    ] = None,
    transport: Annotated[Transport, typer.Option(help="How RTSP media travel, for a URL.")] = Transport.AUTO,
    timeout: Annotated[float, typer.Option(min=1, max=LONGEST_PROBE, help="Seconds.")] = USUAL_PROBE,
    form: Annotated[str | None, typer.Option("--output", "-o", help="json: for scripts.")] = None,
) -> None:
    """Have a worker open a source for a moment: codec, size, rate, keyframes; or why not. Exit code 1 if not."""
    if form not in (None, "json"):
        raise UserError(f"--output {form}: only json is known; without it people are told")
    question = _of_url if "://" in source else _of_job
    found = have(flags, "/v1/probe", question(flags, source, pool, secret, transport, timeout), ProbeAnswer)
    if form == "json":
        print(json.dumps(found.wire(), indent=2))
    else:
        show(output(), found)
    if not found.report.works:
        raise SystemExit(NO_FRAMES)


def show(console: Console, found: ProbeAnswer) -> None:
    """What was found, for people."""
    report = found.report
    if report.code is not None:
        words = "it does not work" if not report.works else "it delivered frames and then failed"
        console.print(f"{words}: {report.code}, {report.message}")
    console.print(table(("", ""), [*_rows(report), ("seen by", f"{found.worker} of pool {found.pool}")]))


def _rows(report: ProbeReport) -> Iterator[tuple[str, str]]:
    if report.codec is not None:
        yield "video", ", ".join(_video(report))
    rates = {"announced": report.announced_fps, "measured": report.measured_fps}
    if told := [f"{rate:g} {what}" for what, rate in rates.items() if rate is not None]:
        yield "frames a second", ", ".join(told)
    if report.works:
        interval = report.keyframe_interval
        yield "keyframes", "fewer than two came" if interval is None else f"every {interval:g} s"
    if report.bit_rate is not None:
        yield "bit rate", f"{report.bit_rate / 1000:.0f} kbit/s"
    if report.live is not None:
        yield "length", "live" if report.live else _length(report.duration)
    if report.codec is not None:
        yield "audio", report.audio or "none"
    if report.first_frame_seconds is not None:
        yield "first frame", f"after {report.first_frame_seconds:.2f} s"


def _video(report: ProbeReport) -> Iterator[str]:
    yield str(report.codec)
    if report.width and report.height:
        yield f"{report.width}x{report.height}"


def _length(duration: float | None) -> str:
    return "recorded" if duration is None else f"recorded, {duration:.1f} s"


def _of_url(
    flags: Flags, url: str, pool: str | None, secret: str | None, transport: Transport, timeout: float
) -> ProbeQuestion:
    if "@" in urlsplit(url).netloc:
        raise UserError("the address holds a user or a password: put them into a Secret and give --secret NAME")
    namespace = flags.cluster.namespace
    return ProbeQuestion(
        pool=_pool_uid(flags, pool) if pool else _only_pool(flags),
        source=Source(url=url, credentials_secret_ref=SecretRef(name=secret) if secret else None, transport=transport),
        namespace=namespace,
        secret=flags.cluster.uid(core_path("secrets", namespace, secret)) if secret else None,
        timeout=timeout,
    )


def _of_job(
    flags: Flags, name: str, pool: str | None, secret: str | None, transport: Transport, timeout: float
) -> ProbeQuestion:
    if secret is not None or transport is not Transport.AUTO:
        raise UserError("--secret and --transport go with a URL: a VideoJob has its own")
    job = flags.cluster.uid(jobs_path(flags.cluster.namespace, name))
    return ProbeQuestion(job=job, pool=_pool_uid(flags, pool) if pool else None, timeout=timeout)


def _pool_uid(flags: Flags, given: str) -> str:
    namespace, _, name = given.rpartition("/")
    return flags.cluster.uid(pools_path(namespace or flags.cluster.namespace, name))


def _only_pool(flags: Flags) -> str:
    namespace = flags.cluster.namespace
    pools: list[Json] = flags.cluster.get(pools_path(namespace))["items"]
    if len(pools) == 1:
        return str(pools[0]["metadata"]["uid"])
    names = ", ".join(sorted(each["metadata"]["name"] for each in pools))
    found = f"namespace {namespace} has several WorkerPools ({names})" if pools else f"namespace {namespace} has none"
    raise UserError(f"{found}: give the one that is to look, --pool [NAMESPACE/]NAME")
