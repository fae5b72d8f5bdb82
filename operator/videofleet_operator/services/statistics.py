"""Refreshes counters in status, and how sources are: seldom for a job, a few a second in all, each job in its turn."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from videofleet_api.phases import ASSIGNED, Phase
from videofleet_api.protocol import Delivered
from videofleet_operator.domain.health import health_due
from videofleet_operator.domain.outputs import outputs_due, posted_due
from videofleet_operator.domain.reports import Report
from videofleet_operator.domain.statistics import may_refresh, statistics_due, written_counters
from videofleet_operator.services.gather import KnownJob

_PAUSE: Final = 0.5
"""Seconds between two writes for the sake of statistics, over all jobs."""
_LOOKS: Final = 500
"""Jobs that are looked at in one turn; a large fleet takes several turns until each has been."""


class Writer(Protocol):
    """What is needed of whoever writes statuses."""

    def written_at(self, uid: str) -> float:
        """When the job's status was written last, on the monotonic clock."""

    def refresh(self, known: KnownJob, report: Report, now: float) -> bool:
        """Write the counters alone; False where that is not possible now."""

    def refresh_outputs(self, known: KnownJob, delivered: Delivered, now: float) -> bool:
        """Write how the receivers are of a job that no worker has; False where that is not possible now."""


class StatisticsRefresher:
    """Goes round all jobs. What is due is written when its turn comes, so that no job waits for another's second."""

    def __init__(
        self,
        jobs: Callable[[], Mapping[str, KnownJob]],
        report: Callable[[str, str], Report | None],
        statuses: Writer,
        leads: Callable[[], bool],
        *,
        wall: Callable[[], float],
        clock: Callable[[], float],
        delivered: Callable[[str], Delivered | None] = lambda _: None,
    ) -> None:
        """`jobs`: all, by uid; `report`: what the worker in a pod said last of a job, by the uids of both; `delivered`:
        what is known of the receivers of a job that no worker has."""
        self._jobs = jobs
        self._report = report
        self._statuses = statuses
        self._leads = leads
        self._wall = wall
        self._clock = clock
        self._delivered = delivered
        self._round: deque[str] = deque()

    async def run(self) -> None:
        """Refresh while this replica leads, until cancelled."""
        while True:
            await asyncio.sleep(_PAUSE)
            if self._leads():
                self.turn()

    def turn(self) -> None:
        """Write the counters of the next job for which that is due, if there is one among those looked at."""
        jobs = self._jobs()
        if not self._round:
            self._round.extend(jobs)
        for _ in range(min(_LOOKS, len(self._round))):
            known = jobs.get(self._round.popleft())
            if known is not None and self._refresh(known):
                return

    def _refresh(self, known: KnownJob) -> bool:
        """Whether the job's counters are being written now."""
        record = known.job.record
        if record.phase not in ASSIGNED:
            return self._refresh_outputs(known)
        if record.phase is not Phase.INPROGRESS or record.worker is None:
            return False
        report = self._report(record.worker.id, known.job.uid)
        if report is None or report.epoch != record.epoch:
            return False
        last, now = self._statuses.written_at(known.job.uid), self._clock()
        if not may_refresh(last, now):
            return False
        status = known.source.status
        if not (
            health_due(status, report.health)
            or outputs_due(status, report.progress.outputs)
            or statistics_due(written_counters(status), report.progress, last, now)
        ):
            return False
        return self._statuses.refresh(known, report, self._wall())

    def _refresh_outputs(self, known: KnownJob) -> bool:
        delivered = self._delivered(known.job.uid)
        if delivered is None:
            return False
        status = known.source.status
        if not (outputs_due(status, delivered.health) or posted_due(status, delivered.objects_posted)):
            return False
        if not may_refresh(self._statuses.written_at(known.job.uid), self._clock()):
            return False
        return self._statuses.refresh_outputs(known, delivered, self._wall())
