"""Who may lead, decided from what the Lease says and how long it has said so. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .resources import Json, version_of

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True)
class LeaseState:
    """What a Lease says. `holder` is empty when nobody holds it; `duration` in seconds; `term` counts acquisitions."""

    holder: str
    term: int
    renewed: str
    duration: float
    version: str

    @property
    def stamp(self) -> tuple[str, int, str]:
        """Changes whenever the holder gives a sign of life; edits of anything else do not count as one."""
        return (self.holder, self.term, self.renewed)


@dataclass(frozen=True, slots=True)
class Claim:
    """Take the lease with this term; `lease` is the state to replace, None to create it."""

    term: int
    lease: LeaseState | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody else leads; look again, the lease runs out in `seconds` unless it is renewed."""

    seconds: float


def decide(identity: str, lease: LeaseState | None, seen_for: float, highest_term: int) -> Claim | Wait:
    """What one who does not lead should do.

    `seen_for`: seconds on our own clock since we first saw this stamp; the holder's wall clock is never looked at.
    `highest_term`: the highest term ever seen, so that a deleted Lease does not start the terms anew.
    """
    if lease is None:
        return Claim(highest_term + 1, None)
    left = lease.duration - seen_for
    if lease.holder in ("", identity) or left <= 0:
        return Claim(max(highest_term, lease.term) + 1, lease)
    return Wait(left)


def still_ours(identity: str, term: int, lease: LeaseState | None) -> bool:
    """Whether a renewal that was refused may be tried again on the present state: nobody took the lease."""
    return lease is not None and lease.holder == identity and lease.term == term


def parse_lease(obj: Json, default_duration: float) -> LeaseState:
    """The state of a Lease object; what is missing counts as nobody, never."""
    spec = obj.get("spec") or {}
    return LeaseState(
        holder=str(spec.get("holderIdentity") or ""),
        term=int(spec.get("leaseTransitions") or 0),
        renewed=str(spec.get("renewTime") or ""),
        duration=float(spec.get("leaseDurationSeconds") or default_duration),
        version=version_of(obj),
    )


def next_stamp(previous: str, now: datetime) -> datetime:
    """The renewTime to write: the wall clock's, but always later than the previous, or followers would see no sign."""
    try:
        before = datetime.strptime(previous, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return now
    return max(now, before + timedelta(microseconds=1))


def format_time(time: datetime) -> str:
    """A MicroTime of the API."""
    return time.astimezone(UTC).strftime(TIME_FORMAT)
