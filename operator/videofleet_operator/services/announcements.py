"""Kubernetes Events: what happened to a job or a pool, for people with kubectl."""

from typing import Final

from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_kube.events import EventKind, EventRecorder
from videofleet_kube.resources import ObjectRef
from videofleet_operator.domain.health import News
from videofleet_operator.domain.model import Job, Pool, Record
from videofleet_operator.services.caches import VIDEOJOBS, WORKERPOOLS

_WARNINGS: Final = frozenset({Phase.INTERRUPTED, Phase.NOT_STARTED, Phase.MISCONFIGURED, Phase.DISCONNECTED})
_TOLD: Final = _WARNINGS | {Phase.INPROGRESS, Phase.COMPLETED}
"""STARTING is not told: an undisturbed life is worth two Events, its first frame and its end."""
_WAIT: Final = "wait"
"""Topic of the one Event that says why a job waits."""


class Announcer:
    """Posts Events; the recorder aggregates and limits them."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder

    def job(self, job: Job, before: Record, after: Record) -> None:
        """Tell of a job's change, if it is worth telling. Why it waits is told by `wait`."""
        if (before.phase, before.reason) == (after.phase, after.reason) or after.reason is None:
            return
        gave_way = after.reason in (Reason.SHED, Reason.PREEMPTED)
        if after.phase not in _TOLD and not gave_way:
            return
        warning = after.phase in _WARNINGS or gave_way
        message = after.message or after.phase.value
        self._recorder.post(_reference(job), "VideoJob", after.reason.value, message, _kind(warning))

    def wait(self, job: Job, reason: str, message: str) -> None:
        """Tell what holds a job back; each such telling of a job replaces the one before."""
        self._recorder.post(_reference(job), "VideoJob", reason, message, EventKind.WARNING, topic=_WAIT)

    def source(self, job: Job, news: News) -> None:
        """Tell how the frames of a job's source are now."""
        self._recorder.post(_reference(job), "VideoJob", news.reason, news.message, _kind(news.warning))

    def pool(self, pool: Pool, reason: str, message: str, *, warning: bool = False) -> None:
        """Tell of a pool's worker."""
        reference = ObjectRef(WORKERPOOLS, pool.namespace, pool.name, pool.uid)
        self._recorder.post(reference, "WorkerPool", reason, message, _kind(warning))


def _reference(job: Job) -> ObjectRef:
    return ObjectRef(VIDEOJOBS, job.namespace, job.name, job.uid)


def _kind(warning: bool) -> EventKind:
    return EventKind.WARNING if warning else EventKind.NORMAL
