"""`videofleet run`: what is given on the command line, checked and carried out."""

import asyncio
import logging
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from videofleet_archive.errors import ArchiveCorruptError, ArchiveError
from videofleet_clip import manifest
from videofleet_clip.clip import Shown, run_clip
from videofleet_clip.errors import FAILED, INTERRUPTED, ClipError
from videofleet_clip.folder import ResultFolder
from videofleet_clip.job import Wanted, address_in, classes_of, make_job, part_of, steps_of
from videofleet_clip.publishing import Workplace
from videofleet_clip.session import Session, Setting
from videofleet_clip.video import Video, folder_name, password_here, video_of
from videofleet_worker.decode.forkserver import prepare_forkserver
from videofleet_worker.jobs.assignments import Job
from videofleet_worker.logs import Secrets, set_up_logs
from videofleet_worker.models.engines import ModelDoesNotRunError
from videofleet_worker.models.manifest import ModelFolderError


class Device(StrEnum):
    """What models run on."""

    AUTO = "auto"
    TENSORRT = "tensorrt"
    CUDA = "cuda"
    CPU = "cpu"


def run(
    video: Annotated[
        str | None,
        typer.Argument(
            metavar="VIDEO", help="A file, or an address: http(s), rtsp(s), rtmp, udp, s3, test://pattern?frames=100."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", help="A VideoJob (YAML) that says what to do; VIDEO and the options replace what it says."
        ),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(
            help="What is done, in order: detect, face, ocr, feature, classify, "
            "track, or names of models. Without it detect,track."
        ),
    ] = None,
    classes: Annotated[str | None, typer.Option(help="Find only these: person,car.")] = None,
    confidence: Annotated[float | None, typer.Option(min=0, max=1, help="Least confidence that counts.")] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.001, max=100000, help="Analyse so many frames a second; all without it.")
    ] = None,
    part: Annotated[str | None, typer.Option("--range", help="Part of the video: 10-20, 1:00-1:30, 90-.")] = None,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many analysed frames.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; ./NAME-results without it.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace results that are there.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Watch it in a browser, at an address on this machine.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of that address; any free one without it.")] = 0,
    film: Annotated[bool, typer.Option("--film/--no-film", help="Write an annotated video.")] = True,
    models: Annotated[list[Path] | None, typer.Option(help="Folder with models of your own; repeatable.")] = None,
    device: Annotated[Device, typer.Option(help="What models run on.")] = Device.AUTO,
    user: Annotated[
        str | None, typer.Option(help="User for the source; the password is in the variable VIDEOFLEET_PASSWORD.")
    ] = None,
) -> None:
    """Analyse one video here: a table, and a folder with results.json, an annotated video and a contact sheet."""
    wanted = Wanted(
        steps=steps_of(steps) if steps is not None else None,
        classes=classes_of(classes) if classes is not None else None,
        confidence=confidence,
        fps=fps,
        part=part_of(part) if part is not None else None,
        max_frames=max_frames,
    )
    source, job = _what(video, file, user, wanted)
    folder = ResultFolder(out or Path(folder_name(source)), force=force)
    workplace = Workplace(folder, job)
    setting = Setting(workplace.archive, tuple(models or ()), device.value, _cache(folder.staging))
    shown = Shown(source.name, port if show else None, film)
    try:
        code = _carry_out(Session(job, source, setting), workplace, shown)
    finally:
        folder.close()
    raise typer.Exit(code)


def _what(video: str | None, file: Path | None, user: str | None, wanted: Wanted) -> tuple[Video, Job]:
    """The source and the job that are meant."""
    spec = manifest.read(file) if file is not None else None
    if video is None and spec is None:
        raise ClipError("give VIDEO, or a manifest with -f")
    password = password_here(user)
    given = video
    if given is None and spec is not None:
        given = address_in(spec, user) or (spec.source.images or [""])[0]
    source = video_of(given or "", user, password)
    if spec is not None and (spec.outputs.router or spec.outputs.webhooks or spec.outputs.mqtt):
        print("videofleet: what outputs names is told nothing by a run here", file=sys.stderr)
    return source, make_job(source, wanted, spec, as_written=video is None)


def _carry_out(session: Session, workplace: Workplace, shown: Shown) -> int:
    source = session.job.spec.source
    secrets = Secrets()
    secrets.remember(session.job.uid, (source.username, source.password))
    # What a run has to say it says in its report; only what nobody foresaw is left to the log.
    set_up_logs("ERROR", secrets, sys.stderr)
    logging.captureWarnings(True)
    forkserver = prepare_forkserver()
    try:
        return asyncio.run(run_clip(session, workplace, shown))
    except (ModelFolderError, ModelDoesNotRunError) as error:
        raise ClipError(str(error)) from error
    except (ArchiveError, ArchiveCorruptError, OSError) as error:
        raise ClipError(f"the results cannot be written: {error}", FAILED) from error
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise ClipError("interrupted; nothing was kept", INTERRUPTED) from None
    finally:
        forkserver.stop()


def _cache(instead: Path) -> Path:
    """Where engines that are built for a GPU are kept; `instead` for whom there is no such place."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "videofleet"
        base.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return instead
    return base
