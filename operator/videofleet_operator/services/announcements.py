"""Kubernetes Events: what happened to a job or a pool, for people with kubectl."""

from typing import Final

from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.model import Job, Pool, Record
from videofleet_operator.kube.events import EventKind, EventRecorder
from videofleet_operator.kube.resources import ObjectRef
from videofleet_operator.services.caches import VIDEOJOBS, WORKERPOOLS

_WARNINGS: Final = frozenset(
    {Phase.INTERRUPTED, Phase.NOT_STARTED, Phase.MISCONFIGURED, Phase.TOO_MANY_CAMERAS, Phase.DISCONNECTED}
)
_TOLD: Final = _WARNINGS | {Phase.INPROGRESS, Phase.COMPLETED}
"""STARTING is not told: an undisturbed life is worth two Events, its first frame and its end."""
_QUIET_WAITS: Final = frozenset({Reason.PENDING, Reason.RESTARTING, Reason.ENABLED, Reason.SPEC_CHANGED})


class Announcer:
    """Posts Events; the recorder aggregates and limits them."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder

    def job(self, job: Job, before: Record, after: Record) -> None:
        """Tell of a job's change, if it is worth telling."""
        if (before.phase, before.reason) == (after.phase, after.reason) or after.reason is None:
            return
        waits = after.phase is Phase.AWAITING and after.reason not in _QUIET_WAITS
        if after.phase not in _TOLD and not waits:
            return
        warning = waits or after.phase in _WARNINGS
        reference = ObjectRef(VIDEOJOBS, job.namespace, job.name, job.uid)
        message = after.message or after.phase.value
        self._recorder.post(reference, "VideoJob", after.reason.value, message, _kind(warning))

    def pool(self, pool: Pool, reason: str, message: str, *, warning: bool = False) -> None:
        """Tell of a pool's worker."""
        reference = ObjectRef(WORKERPOOLS, pool.namespace, pool.name, pool.uid)
        self._recorder.post(reference, "WorkerPool", reason, message, _kind(warning))


def _kind(warning: bool) -> EventKind:
    return EventKind.WARNING if warning else EventKind.NORMAL
