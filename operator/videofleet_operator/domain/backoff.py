"""How long a failed job waits before it is tried again."""

import hashlib
from typing import Final

from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_api.videojob import Restart
from videofleet_operator.domain.model import Record, Seconds
from videofleet_operator.domain.suspicion import given_up

AUTH_DELAY: Final = 60.0
"""Least wait after wrong credentials: cameras lock out who tries more often."""
MISCONFIGURED_DELAY: Final = 30.0
"""First wait after a worker refused the configuration: another try seldom helps without an edit."""
JITTER: Final = 0.1
"""Share by which a wait is made shorter or longer, so that a site that comes back is not stormed."""
_LARGEST_EXPONENT: Final = 40
CLOCK_TOLERANCE: Final = 1.0
"""Seconds by which the clocks of two leaders may differ without a record being rewritten."""
RETRIED: Final = frozenset({Phase.COMPLETED, Phase.INTERRUPTED, Phase.NOT_STARTED, Phase.MISCONFIGURED})
"""Phases in which a back-off is waited."""


def retry_wait(uid: str, attempt: int, phase: Phase, reason: Reason, restart: Restart) -> Seconds:
    """Seconds to wait after the `attempt`-th failure in a row: delay x 2^(attempt - 1) +-10 %, capped.

    The jitter follows from uid and attempt, so that two leaders compute the same.
    """
    least = _least(phase, reason, restart)
    cap = max(restart.max_delay, least)
    doubled = least * 2.0 ** min(max(attempt - 1, 0), _LARGEST_EXPONENT)
    # At the cap the jitter has to stay below it, or half of all waits would be equal.
    spread = min(doubled, cap / (1 + JITTER)) * (1 + JITTER * _signed_fraction(uid, attempt))
    return min(cap, max(spread, AUTH_DELAY) if reason is Reason.SOURCE_AUTH else spread)


def longest_wait(record: Record, restart: Restart) -> Seconds:
    """The most that the record's wait can be, whatever the clock did."""
    if record.phase is Phase.COMPLETED or record.reason is None:
        return max(restart.max_delay, restart.delay)
    return max(restart.max_delay, _least(record.phase, record.reason, restart))


def exhausted(record: Record, restart: Restart) -> bool:
    """Whether as many attempts as allowed failed in a row."""
    failed = record.phase in RETRIED and record.phase is not Phase.COMPLETED and not record.finished
    return failed and restart.max_attempts is not None and record.attempt >= restart.max_attempts


def over_without_success(record: Record, restart: Restart) -> bool:
    """Whether the job has failed for good: its one pass broke off, its attempts are used up, or it crashes workers."""
    return given_up(record) or (record.finished and record.phase is not Phase.COMPLETED) or exhausted(record, restart)


def retry_at(record: Record, restart: Restart) -> Seconds | None:
    """When a job in a phase that is left by a back-off is tried again; None: never.

    Attempts are compared each time, so that a raised maxAttempts frees a job that had given up.
    """
    if record.phase not in RETRIED or record.finished or given_up(record) or exhausted(record, restart):
        return None
    return record.since if record.next_retry is None else record.next_retry


def _least(phase: Phase, reason: Reason, restart: Restart) -> Seconds:
    if reason is Reason.SOURCE_AUTH:
        return max(restart.delay, AUTH_DELAY)
    return max(restart.delay, MISCONFIGURED_DELAY) if phase is Phase.MISCONFIGURED else restart.delay


def _signed_fraction(uid: str, attempt: int) -> float:
    """A number in [-1, 1) that only depends on the arguments."""
    digest = hashlib.sha256(f"{uid}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**63 - 1
