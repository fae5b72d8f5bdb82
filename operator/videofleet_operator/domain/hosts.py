"""How fast jobs may start at one source host, so that a site that comes back is not stormed.

A token bucket a host. It is kept in the planner's memory only: a new leader begins with full ones, which costs a site
one more burst.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from videofleet_api.codes import ErrorCode, Reason
from videofleet_operator.domain.backoff import AUTH_DELAY, CLOCK_TOLERANCE
from videofleet_operator.domain.model import Bucket, Job, Pace, Record, Seconds, Why

_NO_HOST: Final = frozenset({"file", "test", "s3", "udp"})
"""Schemes without a site that could be stormed: object stores are made for many, datagrams come by themselves."""
_GATHERED: Final[Seconds] = 0.5
"""Tokens are waited for this long at least: one plan then gives away several."""


def host_of(url: str) -> str | None:
    """The host that a source is at; None where there is none to be spared."""
    try:
        parts = urlsplit(url)
        return None if parts.scheme in _NO_HOST else parts.hostname or None
    except ValueError:
        return None


class HostLedger:
    """Tokens of all hosts during one plan. `refusal` takes none, `take` does."""

    def __init__(self, pace: Pace, buckets: Mapping[str, Bucket], now: Seconds) -> None:
        self._pace = pace
        self._now = now
        self._tokens = {host: self._refilled(bucket) for host, bucket in buckets.items()}
        self.wake: Seconds | None = None
        """When one of those that were refused may start."""

    def refusal(self, job: Job, record: Record) -> Why | None:
        """Why the job may not start at its host now; None: it may."""
        return self._refused_credentials(job, record) or self._no_token(job)

    def take(self, job: Job) -> None:
        """The job starts."""
        if job.host is not None:
            self._tokens[job.host] = self._left(job.host) - 1

    def buckets(self) -> dict[str, Bucket]:
        """What the next plan begins with; a full bucket needs no entry."""
        return {host: Bucket(left, self._now) for host, left in self._tokens.items() if left < self._pace.burst}

    def _no_token(self, job: Job) -> Why | None:
        if job.host is None or self._left(job.host) >= 1:
            return None
        self._wake_in(max(_GATHERED, (1 - self._left(job.host)) / self._pace.per_second))
        message = (
            f"many jobs start at the host of its source: {self._pace.burst} do at once, "
            f"then {self._pace.per_second:g} a second"
        )
        return Why(Reason.SOURCE_THROTTLED, message)

    def _refused_credentials(self, job: Job, record: Record) -> Why | None:
        """The back-off waits that long too, but `enabled` off and on, or more attempts allowed, would end it."""
        error = record.last_error
        if error is None or error.code != ErrorCode.AUTH or job.digest != record.spec_digest:
            return None
        left = error.time + AUTH_DELAY - self._now
        if not 0 < left <= AUTH_DELAY + CLOCK_TOLERANCE:
            return None
        self._wake_in(left)
        message = "the source refused these credentials less than a minute ago: it is not tried sooner with the same"
        return Why(Reason.SOURCE_THROTTLED, message)

    def _left(self, host: str) -> float:
        return self._tokens.get(host, float(self._pace.burst))

    def _refilled(self, bucket: Bucket) -> float:
        # A clock that went back refills nothing.
        passed = max(0.0, self._now - bucket.at)
        return min(float(self._pace.burst), bucket.tokens + passed * self._pace.per_second)

    def _wake_in(self, seconds: Seconds) -> None:
        at = self._now + seconds
        self.wake = at if self.wake is None else min(self.wake, at)
