"""One Event for each job that waits, rewritten when what holds it back is something else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.explain import Explainer
from videofleet_operator.domain.model import Job
from videofleet_operator.services.announcements import Announcer

_QUIET: Final = frozenset({Reason.PENDING, Reason.RESTARTING, Reason.ENABLED, Reason.SPEC_CHANGED})
_WAITING: Final = frozenset({Phase.AWAITING, Phase.TOO_MANY_CAMERAS})
_SPACING: Final = 60.0
"""Seconds; a job is looked at again at most this often."""
_A_PASS: Final = 100
"""Jobs that are looked at in one pass; the others have their turn in the next ones."""


@dataclass(frozen=True, slots=True)
class _Told:
    reasons: frozenset[str] | None
    """None: told by another process, it is not known what."""
    again: float


class Waits:
    """Compares what holds each job back with what its Event says."""

    def __init__(self, announcer: Announcer, clock: Callable[[], float]) -> None:
        self._announcer = announcer
        self._clock = clock
        self._told: dict[str, _Told] = {}
        self._first = True

    def forget(self) -> None:
        """Another operator led meanwhile."""
        self._told.clear()
        self._first = True

    def tell(self, explainer: Explainer) -> None:
        """Tell of jobs whose status says already that they wait: it is written first."""
        waiting = [job for uid in explainer.waiting if (job := explainer.snapshot.jobs.get(uid)) and _waits(job)]
        self._told = {job.uid: self._told[job.uid] for job in waiting if job.uid in self._told}
        if self._first:
            # Those that wait already were told of by whoever led before.
            self._first = False
            now = self._clock()
            self._told = {job.uid: _Told(None, now) for job in waiting}
        self._look(explainer, waiting)

    def _look(self, explainer: Explainer, waiting: list[Job]) -> None:
        now, looked_at = self._clock(), 0
        for job in waiting:
            told = self._told.get(job.uid)
            if told is not None and now < told.again:
                continue
            if looked_at == _A_PASS:
                return
            looked_at += 1
            causes = explainer.causes(job)
            reasons = frozenset(each.reason for each in causes)
            if told is None or told.reasons not in (None, reasons):
                self._announcer.wait(job, causes[0].reason, ", ".join(each.message for each in causes))
            self._told[job.uid] = _Told(reasons, now + _SPACING)


def _waits(job: Job) -> bool:
    reason = job.record.reason
    return job.record.phase in _WAITING and reason is not None and reason not in _QUIET
