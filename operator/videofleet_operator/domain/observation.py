"""Which fact a snapshot holds for a job: from its worker, from its spec, from the clock."""

from typing import Final

from videofleet_api.codes import ErrorCode, Reason
from videofleet_api.phases import ASSIGNED, RUNNING, Phase
from videofleet_api.protocol import TERMINAL, JobState
from videofleet_operator.domain import exclusion, facts, suspicion
from videofleet_operator.domain.backoff import CLOCK_TOLERANCE, RETRIED, longest_wait, over_without_success, retry_at
from videofleet_operator.domain.facts import Fact
from videofleet_operator.domain.matching import refusal
from videofleet_operator.domain.model import Assigned, Job, Pool, Record, Seconds, Why, Worker
from videofleet_operator.domain.moves import times_too_far_ahead
from videofleet_operator.domain.placement import SILENT_AFTER
from videofleet_operator.domain.reports import Report
from videofleet_operator.domain.schedule import told

REASSIGN_AFTER: Final[Seconds] = 30.0
"""How long a lost worker may take to come back before its jobs go elsewhere."""
PREPARING_LIMIT: Final[Seconds] = 1800.0
"""Most time in which a worker may prepare models; building an engine takes minutes."""
_TIMED: Final = RUNNING | {Phase.COMPLETED, Phase.INTERRUPTED}
"""Phases that time alone changes: NOT_STARTED and MISCONFIGURED go straight to a worker when it has come."""
_UNTIMED: Final = frozenset({Phase.AWAITING, Phase.TOO_MANY_CAMERAS, Phase.DISABLED})
"""Phases that end with what others do."""


def worker_fact(job: Job, record: Record, worker: Worker | None, now: Seconds) -> Fact | None:
    """What the job's worker says, or what has become of it. `worker`: None, its pod is gone."""
    if record.phase not in ASSIGNED or record.worker is None:
        return None
    if record.phase is Phase.DISCONNECTED and suspicion.convicted(record):
        return facts.Convicted()
    if worker is None:
        return facts.WorkerGone(f"worker {record.worker.name} is gone")
    crash = _crash_of(record.worker, worker)
    if crash is not None:
        return crash
    report = current_report(job, record, worker)
    over = None if report is None else _terminal_fact(report, now)
    if over is not None:
        return over
    if worker.leaving and not worker.connected:
        return facts.WorkerGone(f"worker {worker.name} has ended")
    if worker.silent_for >= SILENT_AFTER:
        return facts.WorkerSilent(f"nothing heard from worker {worker.name} for {SILENT_AFTER:.0f} seconds")
    if record.phase is Phase.DISCONNECTED:
        return _back_fact(worker, report, now) if worker.connected else None
    return None if report is None else _running_fact(record, report, now)


def _crash_of(held: Assigned, worker: Worker) -> Fact | None:
    """Whether the process that the job was given to is no more, although its pod is there."""
    if worker.instance is not None and worker.instance != held.instance:
        message = f"the process of worker {worker.name} ended, and another one runs"
        # A process that ends while its pod is taken away was told to.
        return facts.WorkerGone(message) if worker.leaving else facts.WorkerCrashed(message)
    if worker.died and not worker.connected:
        return facts.WorkerCrashed(f"the process of worker {worker.name} ended")
    return None


def move_fact(job: Job, record: Record, target: Worker | None, now: Seconds, led_since: Seconds = 0.0) -> Fact | None:
    """What has become of the job's move. `target`: the worker that takes it over; None: its pod is gone."""
    move = record.move
    if move is None:
        return None
    report = None if target is None else target.reports.get(job.uid)
    if report is not None and report.epoch != move.epoch:
        report = None
    # What the other worker has begun to write is the job's from then on, whatever became of either worker since.
    begun = None if report is None or report.state is JobState.SUPERSEDED else _first_frame_of(report, now)
    if begun is not None and record.phase is Phase.INPROGRESS:
        return facts.FirstFrame(move.epoch, begun)
    since = max(move.since, led_since)
    if begun is None and (_is_lost(move.worker, target) or _will_not_take(job, since, report, now)):
        return facts.MoveFailed(blamed=report is not None and report.code is not None and exclusion.blames(report.code))
    lost = record.phase is Phase.DISCONNECTED and not suspicion.convicted(record)
    return facts.MoveTakesOver() if lost else None


def _will_not_take(job: Job, since: Seconds, report: Report | None, now: Seconds) -> bool:
    if report is not None and report.state in TERMINAL:
        return True
    preparing = report is not None and report.state is JobState.PREPARING
    limit = max(job.spec.restart.start_timeout, PREPARING_LIMIT) if preparing else job.spec.restart.start_timeout
    return now >= since + limit


def _is_lost(assigned: Assigned, worker: Worker | None) -> bool:
    """Whether the process that a job was given to is gone, or has been silent for too long."""
    if worker is None or (worker.leaving and not worker.connected) or worker.silent_for >= SILENT_AFTER:
        return True
    return worker.instance is not None and worker.instance != assigned.instance


def spec_fact(job: Job, record: Record, pool: Pool | None) -> Fact | None:
    """What the spec asks for that the record does not have. `pool`: that of the job's worker."""
    if job.problem is not None and job.problem.reason is Reason.INVALID_SPEC:
        return None
    if not job.spec.enabled:
        return facts.Disabled()
    # What is over has nothing more to do that a schedule could hold up.
    if not job.opening.inside and not _over(record):
        return facts.OutsideSchedule(told(job.opening))
    if record.phase is Phase.DISABLED:
        return facts.Enabled()
    if job.problem is not None and job.problem.reason is Reason.UNKNOWN_TIME_ZONE and record.phase in ASSIGNED:
        # Nobody can say that it may run now.
        return facts.Evicted(job.problem)
    # A digest that is unknown (its Secret cannot be read just now) never stops a running stream.
    if job.digest is not None and record.spec_digest is not None and job.digest != record.spec_digest:
        return facts.SpecChanged()
    # Nobody applies new settings to what does not run: it starts with them.
    if record.phase in RETRIED and None not in (job.settings, record.settings) and job.settings != record.settings:
        return facts.SpecChanged()
    # Whoever edits a job that was given up, be it in what no worker is told, wants it tried again.
    if suspicion.given_up(record) and job.generation > record.observed_generation:
        return facts.SpecChanged()
    if pool is not None and job.generation > record.observed_generation and record.phase in ASSIGNED:
        refused = refusal(pool, job)
        return facts.Evicted(Why(Reason.SPEC_CHANGED, f"pool {pool.key} {refused}")) if refused else None
    return None


def run_fact(job: Job, record: Record) -> Fact | None:
    """Whether results of what is asked for now may follow those that there are."""
    if record.run and record.completed is None and over_without_success(record, job.spec.restart):
        # Fewer attempts are allowed than were made.
        return facts.RunOver()
    if record.run == 0 or job.run_digest is None or record.run_digest is None:
        return None
    same = job.run_digest == record.run_digest
    if record.completed is not None:
        return facts.RunKept() if same and record.phase in ASSIGNED else None
    return None if same else facts.RunOver()


def settings_fact(record: Record, report: Report | None) -> Fact | None:
    """What the job's worker has applied of an edit. `report`: that of the current epoch."""
    if report is None or report.settings in (None, record.settings) or record.phase not in RUNNING:
        return None
    return facts.Applied(report.epoch, report.settings)


def being_applied(job: Job, record: Record) -> bool:
    """Whether an edit is on its way to the worker that runs the job: the spec is not in force yet."""
    return (
        record.phase in ASSIGNED
        and job.digest == record.spec_digest
        and None not in (job.settings, record.settings)
        and job.settings != record.settings
    )


def time_fact(job: Job, record: Record, worker: Worker | None, now: Seconds, led_since: Seconds = 0.0) -> Fact | None:
    """What the time alone brings about. A start has its time again under a new leader (`led_since`)."""
    restart = job.spec.restart
    if _too_far_ahead(job, record, now):
        return facts.ClockWentBack()
    if record.phase not in _TIMED:
        return None
    match record.phase:
        case Phase.STARTING:
            return _start_fact(job, record, worker, now, max(record.since, led_since))
        case Phase.INPROGRESS if record.attempt and now >= record.since + restart.stable_after:
            return facts.StableRunning()
        case Phase.INPROGRESS:
            due = suspicion.trusted_at(record)
            return facts.Trusted() if due is not None and due <= now else None
        case _:
            due = retry_at(record, restart)
            return facts.RetryDue() if due is not None and due <= now else None


def schedule_time(job: Job, record: Record) -> Seconds | None:
    """When the schedule opens or closes, where that makes a difference to the job."""
    return None if job.opening.until is None or not job.spec.enabled or _over(record) else job.opening.until


def _over(record: Record) -> bool:
    """Whether the job has had its only pass, or was given up: time alone does not start it again."""
    return record.finished or suspicion.given_up(record)


def next_time(
    job: Job, record: Record, worker: Worker | None, now: Seconds, led_since: Seconds = 0.0
) -> Seconds | None:
    """When the record will be due for something by itself, its schedule apart; None: never. See `time_fact`."""
    if record.phase in _UNTIMED:
        return exclusion.ends(record) if exclusion.waits_elsewhere(record) else None
    match record.phase:
        case Phase.STARTING:
            return _start_deadline(job, max(record.since, led_since), now)
        case Phase.INPROGRESS:
            return _running_time(job, record, now, led_since)
        case Phase.DISCONNECTED:
            return record.since + REASSIGN_AFTER
        case _:
            return retry_at(record, job.spec.restart)


def lost_for_good(record: Record, worker: Worker | None, now: Seconds) -> bool:
    """Whether a disconnected job is to be given to another worker."""
    if record.phase is not Phase.DISCONNECTED or suspicion.convicted(record):
        return False
    if worker is None or record.worker is None or (worker.leaving and not worker.connected):
        return True
    if _crash_of(record.worker, worker) is not None:
        return True
    # A new leader has to try to reach the worker before it may conclude anything from an old `since`.
    return worker.silent_for >= SILENT_AFTER and now >= record.since + REASSIGN_AFTER


def current_report(job: Job, record: Record, worker: Worker | None) -> Report | None:
    """What the worker says of the job's current epoch."""
    report = None if worker is None else worker.reports.get(job.uid)
    return report if report is not None and report.epoch == record.epoch else None


def _terminal_fact(report: Report, now: Seconds) -> Fact | None:
    first_frame = _first_frame_of(report, now)
    code, message = report.code or ErrorCode.INTERNAL, report.message or "the worker gave no message"
    match report.state:
        case JobState.ENDED:
            return facts.Ended(report.epoch, first_frame)
        case JobState.FAILED:
            return facts.Failed(report.epoch, code, message, first_frame)
        case JobState.REFUSED:
            return facts.Refused(report.epoch, code, message)
        case JobState.SUPERSEDED:
            return facts.Superseded(report.epoch)
        case JobState.PREPARING | JobState.RUNNING | JobState.RECONNECTING:
            return None


def _running_fact(record: Record, report: Report, now: Seconds) -> Fact | None:
    first_frame = _first_frame_of(report, now)
    if record.phase is Phase.STARTING:
        return None if first_frame is None else facts.FirstFrame(report.epoch, first_frame)
    if report.state is JobState.RECONNECTING:
        return facts.Reconnecting(report.epoch, report.message or "the source is lost")
    return facts.Reconnected(report.epoch) if first_frame is not None else None


def _back_fact(worker: Worker, report: Report | None, now: Seconds) -> Fact | None:
    if worker.instance is None:
        return None
    return facts.WorkerBack(worker.instance, None if report is None else _first_frame_of(report, now))


def _first_frame_of(report: Report, now: Seconds) -> Seconds | None:
    """Where the worker does not tell the time of the frame, it is that of the first report of it."""
    if report.first_frame_time is not None:
        return report.first_frame_time
    return now if report.first_frame else None


def _start_fact(job: Job, record: Record, worker: Worker | None, now: Seconds, since: Seconds) -> Fact | None:
    timeout = job.spec.restart.start_timeout
    if now < since + timeout:
        return None
    report = current_report(job, record, worker)
    preparing = report is not None and report.state is JobState.PREPARING
    if preparing and now < since + max(timeout, PREPARING_LIMIT):
        return facts.Preparing(record.epoch)
    return facts.StartTimedOut(f"no first frame within {max(timeout, now - since):.0f} seconds")


def _start_deadline(job: Job, since: Seconds, now: Seconds) -> Seconds:
    timeout = job.spec.restart.start_timeout
    first = since + timeout
    return first if now < first else since + max(timeout, PREPARING_LIMIT)


def _running_time(job: Job, record: Record, now: Seconds, led_since: Seconds) -> Seconds | None:
    times = [record.since + job.spec.restart.stable_after if record.attempt else None, suspicion.trusted_at(record)]
    if record.move is not None:
        times.append(_start_deadline(job, max(record.move.since, led_since), now))
    return min((time for time in times if time is not None and time > now), default=None)


def _too_far_ahead(job: Job, record: Record, now: Seconds) -> bool:
    if record.since > now + CLOCK_TOLERANCE or times_too_far_ahead(record, now):
        return True
    if record.next_retry is None:
        return False
    return record.next_retry > now + longest_wait(record, job.spec.restart) + CLOCK_TOLERANCE
