"""Leader election on a Lease: at most one leader, each with a higher term than the one before."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from .election import Claim, LeaseState, Wait, decide, format_time, next_stamp, parse_lease, still_ours
from .errors import ApiError, Conflict, NotFound
from .leasewatch import until_written
from .resources import LEASES, Json
from .session import ApiSession

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds. Followers wait `duration`; the leader steps down after `renew_deadline` without a renewal.

    The difference is for what was sent as leader to come to an end.
    """

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.retry < self.renew_deadline < self.duration:
            raise ValueError(
                f"lease times must satisfy 0 < retry < renew_deadline < duration, got retry {self.retry:g}, "
                f"renew_deadline {self.renew_deadline:g}, duration {self.duration:g}"
            )

    @property
    def call_timeout(self) -> float:
        """Of each request: several tries fit between a renewal and the deadline."""
        return max(self.retry, self.renew_deadline / 3)


@dataclass(frozen=True, slots=True)
class _Lead:
    """Our leadership as of the last renewal that was confirmed; times on our clock, counted from its sending."""

    term: int
    deadline: float
    expires: float


class LeaseElector:
    """Campaigns, leads, and campaigns again, until `run` is cancelled; then the lease is released.

    `identity` must differ between processes, restarts of a container included. The callbacks are called in the event
    loop and must return at once; `is_leader` turns False by the clock alone, even when the loop was stuck.
    """

    def __init__(
        self,
        session: ApiSession,
        namespace: str,
        name: str,
        identity: str,
        *,
        times: LeaseTimes | None = None,
        on_started: Callable[[int], None] | None = None,
        on_stopped: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: random.Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not identity:
            raise ValueError("a lease needs an identity that is not empty")
        self.holder = ""
        """Who held the lease when it was last read."""
        self.looked = asyncio.Event()
        """Set once the lease has been asked for: what is read from then on is newer than one that was had at once."""
        self._session = session
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._times = times or LeaseTimes()
        self._on_started = on_started
        self._on_stopped = on_stopped
        self._clock = clock
        self._wall = wall
        self._rng = rng or random.Random()
        self._sleep = sleep
        self._lead: _Lead | None = None
        self._lease: LeaseState | None = None
        self._seen_at = clock()
        self._highest_term = 0
        self._acquired = wall()

    @property
    def is_leader(self) -> bool:
        """Whether we lead at this very moment."""
        return self._lead is not None and self._clock() < self._lead.deadline

    @property
    def term(self) -> int | None:
        """The term we lead in, None when we do not lead."""
        return self._lead.term if self._lead is not None and self.is_leader else None

    @property
    def renewed_at(self) -> str:
        """The Lease's renewTime as last read or written (RFC 3339), empty before; it never goes back."""
        return self._lease.renewed if self._lease else ""

    def remaining(self) -> float:
        """Seconds within which a request sent now must have ended; 0 when we do not lead."""
        return self._lead.expires - self._clock() if self._lead is not None and self.is_leader else 0.0

    async def run(self) -> None:
        """Take part in the election until cancelled. Cancel it after the last write is done: the end is a release."""
        try:
            while True:
                await self._campaign()
                try:
                    await self._hold()
                finally:
                    self._step_down()
        finally:
            await self._release()

    async def _campaign(self) -> None:
        """Returns once we lead."""
        while True:
            pause = self._times.retry * self._rng.uniform(1.0, 1.2)
            try:
                self._observe(await self._read())
                match decide(self._identity, self._lease, self._clock() - self._seen_at, self._highest_term):
                    case Claim() as claim:
                        await self._take(claim)
                        return
                    case Wait(seconds):
                        pause = min(pause, seconds + self._rng.uniform(0.0, 0.1))
            except Conflict:
                log.info("lease %s: somebody else was faster", self._name)
            except ApiError as error:
                log.warning("lease %s: %s", self._name, error)
            finally:
                self.looked.set()
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        """Until the next look; a Lease that is released is looked at right then."""
        if self._lease is None:
            await self._sleep(seconds)
            return
        version, pause = self._lease.version, self._sleep(seconds)
        await until_written(
            self._session, self._namespace, self._name, version, pause, timeout=self._times.call_timeout
        )

    async def _hold(self) -> None:
        """Renew until it is lost."""
        while (lead := self._lead) is not None:
            left = lead.deadline - self._clock()
            await self._sleep(max(0.0, min(left, self._times.retry * self._rng.uniform(0.9, 1.0))))
            if not self.is_leader:
                log.error("lease %s: not renewed within %g s", self._name, self._times.renew_deadline)
                return
            try:
                if not await self._renew(lead.term):
                    log.error("lease %s: taken by %s", self._name, self.holder or "nobody")
                    return
            except ApiError as error:
                log.warning("lease %s not renewed: %s", self._name, error)

    async def _renew(self, term: int) -> bool:
        """False when the lease is no longer ours."""
        try:
            await self._write(self._lease, term, self._identity)
        except (Conflict, NotFound):
            # An edit of its labels, or an earlier renewal whose answer was lost.
            self._observe(await self._read())
            if not still_ours(self._identity, term, self._lease):
                return False
            await self._write(self._lease, term, self._identity)
        return True

    async def _take(self, claim: Claim) -> None:
        self._acquired = next_stamp(claim.lease.renewed if claim.lease else "", self._wall())
        await self._write(claim.lease, claim.term, self._identity)
        log.info("lease %s: leading in term %d", self._name, claim.term)
        if self._on_started is not None:
            self._on_started(claim.term)

    async def _write(self, lease: LeaseState | None, term: int, holder: str) -> None:
        """Create or patch the Lease; begins or prolongs our leadership when it went through."""
        sent = self._clock()
        timeout = self._timeout()
        spec = self._spec(lease, term, holder)
        if lease is None:
            body = {"metadata": {"name": self._name, "namespace": self._namespace}, "spec": spec}
            stored = await self._session.create(LEASES, self._namespace, body, timeout=timeout)
        else:
            # A merge patch leaves alone what others may have put into the metadata.
            body = {"metadata": {"resourceVersion": lease.version}, "spec": spec}
            stored = await self._session.patch(LEASES, self._namespace, self._name, body, timeout=timeout)
        self._observe(stored)
        if holder:
            self._lead = _Lead(term, sent + self._times.renew_deadline, sent + self._times.duration)

    def _spec(self, lease: LeaseState | None, term: int, holder: str) -> Json:
        return {
            "holderIdentity": holder,
            # A whole number is wanted; rounding up only makes followers more patient.
            "leaseDurationSeconds": math.ceil(self._times.duration),
            "acquireTime": format_time(self._acquired),
            "renewTime": format_time(next_stamp(lease.renewed if lease else "", self._wall())),
            "leaseTransitions": term,
        }

    async def _read(self) -> Json | None:
        return await self._session.get(LEASES, self._namespace, self._name, timeout=self._timeout())

    def _timeout(self) -> float:
        """A request must not outlast the leadership it is to prolong."""
        if self._lead is None:
            return self._times.call_timeout
        return max(0.05, min(self._times.call_timeout, self._lead.deadline - self._clock()))

    def _observe(self, obj: Json | None) -> None:
        lease = None if obj is None else parse_lease(obj, self._times.duration)
        if lease is None or self._lease is None or lease.stamp != self._lease.stamp:
            self._seen_at = self._clock()
        self._lease = lease
        self.holder = lease.holder if lease else ""
        self._highest_term = max(self._highest_term, lease.term if lease else 0)

    def _step_down(self) -> None:
        self._lead = None
        if self._on_stopped is not None:
            self._on_stopped()

    async def _release(self) -> None:
        """Let the next one begin at once. Best effort: without it the lease runs out by itself."""
        try:
            self._observe(await self._read())
            if self._lease is not None and self._lease.holder == self._identity:
                await self._write(self._lease, self._lease.term, "")
        except ApiError as error:
            log.warning("lease %s not released: %s", self._name, error)
