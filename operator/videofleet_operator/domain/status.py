"""VideoJob.status as a document: written from a record, and read back into one."""

from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import ValidationError

from videofleet_api.codes import SourceHealth
from videofleet_api.names import archive_prefix
from videofleet_api.phases import Phase
from videofleet_api.videojob import (
    AnalyticsStatus,
    ExcludedWorker,
    LastError,
    MoveRef,
    Progress,
    Statistics,
    VideoJobStatus,
    WorkerRef,
)
from videofleet_operator.domain.conditions import conditions
from videofleet_operator.domain.health import Told
from videofleet_operator.domain.model import Assigned, Job, Move, Record, Seconds
from videofleet_operator.domain.reports import Counters, Report
from videofleet_operator.domain.statistics import share_done
from videofleet_operator.domain.times import format_time

_FULL: Final = 100


@dataclass(frozen=True, slots=True)
class Shown:
    """What status tells beside the record."""

    source: str | None = None
    """The source's address without credentials."""
    progress: Counters | None = None
    """Counters of the current epoch; None: those in the previous status stay, and what is known of the source."""
    health: SourceHealth | None = None
    """Of the source; None where nobody watches it."""
    health_message: str = ""
    outputs: Counters | None = None
    """What is known of the receivers of a job that no worker has any more; None: what `progress` says of them."""
    others_left: bool = False
    """Whether a worker is left that could run the job and has not refused it."""

    @classmethod
    def of(cls, source: str | None, report: Report | None, *, others_left: bool = False) -> Self:
        """With what the job's worker said last of the current epoch."""
        if report is None:
            return cls(source, others_left=others_left)
        return cls(source, report.progress, report.health, report.health_message or "", others_left=others_left)


def to_status(job: Job, record: Record, shown: Shown, previous: object, now: Seconds) -> dict[str, object]:
    """The whole status as it goes over the wire. `previous`: the status that the object has, in its JSON form."""
    before = read_status(previous)
    document = VideoJobStatus(
        phase=record.phase,
        reason=None if record.reason is None else str(record.reason),
        message=record.message or None,
        observed_generation=record.observed_generation,
        source=shown.source,
        run=record.run,
        epoch=record.epoch,
        transitions=record.transitions,
        since=_time(record.since or None),
        worker=_worker(record.worker),
        move=_move(record.move),
        spent_epoch=record.spent or None,
        next_move_time=_time(record.next_move),
        attempt=record.attempt,
        suspicion=record.suspicion,
        excluded_workers=_excluded(record),
        next_retry_time=_time(record.next_retry),
        spec_digest=record.spec_digest,
        run_digest=record.run_digest,
        settings_digest=record.settings,
        first_frame_time=_time(record.first_frame),
        last_frame_time=_last_frame(record, shown.progress, before),
        completion_time=_time(record.completed),
        finished=record.finished or None,
        progress=_progress(record, shown.progress, before),
        statistics=_statistics(record, shown.progress, shown.outputs, before),
        last_error=_last_error(record),
        analytics=_analytics(job, record),
        conditions=conditions(
            record,
            job,
            before.conditions,
            now,
            _told_health(shown),
            shown.outputs or shown.progress,
            others_left=shown.others_left,
        ),
    )
    return document.wire()


def read_status(raw: object) -> VideoJobStatus:
    """The status in its JSON form as a document; parts that cannot be read are as if they were not there."""
    if not isinstance(raw, dict):
        return VideoJobStatus()
    known: dict[str, Any] = dict(raw)
    while True:
        try:
            return VideoJobStatus.model_validate(known)
        except ValidationError as error:
            wrong = {str(each["loc"][0]) for each in error.errors() if each["loc"]} & known.keys()
            if not wrong:
                return VideoJobStatus()
            known = {key: value for key, value in known.items() if key not in wrong}


def _told_health(shown: Shown) -> Told | None:
    return None if shown.progress is None else Told(shown.health, shown.health_message)


def _last_frame(record: Record, current: Counters | None, before: VideoJobStatus) -> str | None:
    if current is not None and current.last_frame_time is not None:
        return format_time(current.last_frame_time)
    return before.last_frame_time if before.run == record.run else None


def _progress(record: Record, current: Counters | None, before: VideoJobStatus) -> Progress | None:
    if current is None:
        kept = before.progress if before.run == record.run else None
        return _done(kept) if record.phase is Phase.COMPLETED else kept
    share = share_done(current)
    if share is None:
        return None
    percent = _FULL if record.phase is Phase.COMPLETED else int(share * _FULL)
    return Progress(
        percent=f"{percent} %", processed_frames=current.processed_frames, total_frames=current.total_frames
    )


def _done(progress: Progress | None) -> Progress | None:
    return None if progress is None else progress.model_copy(update={"percent": f"{_FULL} %"})


def _statistics(
    record: Record, current: Counters | None, outputs: Counters | None, before: VideoJobStatus
) -> Statistics | None:
    if current is None:
        kept = before.statistics if before.run == record.run else None
        if kept is None:
            return Statistics(restarts=record.restarts) if record.restarts else None
        return kept.model_copy(update={"restarts": record.restarts} | _posted(kept, outputs))
    return Statistics(
        source_fps=_rounded(current.source_fps),
        processed_fps=_rounded(current.processed_fps),
        decoded_frames=current.decoded_frames,
        processed_frames=current.processed_frames,
        dropped_frames=dict(current.dropped_frames),
        objects_posted=current.objects_posted,
        objects_not_posted=current.objects_not_posted,
        restarts=record.restarts,
    )


def _posted(kept: Statistics, outputs: Counters | None) -> dict[str, int]:
    """Best shots of a job that is over: what its router has taken since, it does not lack any more."""
    told = None if outputs is None else outputs.objects_posted
    if told is None or kept.objects_posted is None or kept.objects_not_posted is None:
        return {}
    found = kept.objects_posted + kept.objects_not_posted
    posted = min(max(told, kept.objects_posted), found)
    return {"objects_posted": posted, "objects_not_posted": found - posted}


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 1)


def _analytics(job: Job, record: Record) -> list[AnalyticsStatus]:
    if not record.run or not job.spec.outputs.archive.enabled:
        return []
    return [
        AnalyticsStatus(name=each.name, results=archive_prefix(job.namespace, job.uid, record.run, each.name))
        for each in job.spec.analytics
    ]


def _worker(worker: Assigned | None) -> WorkerRef | None:
    if worker is None:
        return None
    return WorkerRef(name=worker.name, node=worker.node, pool=worker.pool, id=worker.id, instance=worker.instance)


def _excluded(record: Record) -> list[ExcludedWorker] | None:
    return [ExcludedWorker(name=each.name, id=each.id, instance=each.instance) for each in record.excluded] or None


def _move(move: Move | None) -> MoveRef | None:
    worker = _worker(move.worker if move else None)
    if move is None or worker is None:
        return None
    return MoveRef(worker=worker, epoch=move.epoch, since=format_time(move.since))


def _last_error(record: Record) -> LastError | None:
    error = record.last_error
    return None if error is None else LastError(code=error.code, message=error.message, time=format_time(error.time))


def _time(time: Seconds | None) -> str | None:
    return None if time is None else format_time(time)
