"""What the proxy can do to an operator's requests and watches, as data.

`skip` lets so many pass first and `times` is how often the fault strikes; both count over the whole life of a plan,
restarts of the operator included, so that every fault ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.proxy.calls import WRITES, Call

STATUS_REASONS = {
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


@dataclass(frozen=True, slots=True)
class Where:
    """Which requests a fault is for; an empty tuple matches all but the Lease's."""

    kinds: tuple[str, ...] = ()
    verbs: tuple[str, ...] = WRITES

    def matches(self, call: Call) -> bool:
        """Whether a call is among them."""
        kind = call.kind in self.kinds if self.kinds else call.kind not in ("", "leases")
        return kind and call.verb in self.verbs


JOB_STATUS = Where(("videojobs",), ("PATCH",))
READS = ("LIST", "WATCH")
WATCHED = ("videojobs", "workerpools", "pods")


# Requests


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL the operator at its k-th write: before it reaches the API server, or once its answer is there."""

    write: int
    answered: bool


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer instead of the API server."""

    status: int
    where: Where = Where()
    retry_after: int | None = None
    skip: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """The request is carried out and its answer lost with the connection; `half`: after half of its bytes."""

    where: Where = Where()
    half: bool = False
    skip: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True)
class Delay:
    """The request lies about before it goes on."""

    seconds: float
    where: Where = Where()
    skip: int = 0
    times: int = 1


RequestFault = Refuse | LoseAnswer | Delay


# Watches: `skip` and `times` count events after those that a streaming list begins with


@dataclass(frozen=True, slots=True)
class Hold:
    """Events come late, in order; watches of other kinds overtake them."""

    seconds: float
    kinds: tuple[str, ...] = WATCHED
    skip: int = 0
    times: int = 1000


@dataclass(frozen=True, slots=True)
class Repeat:
    """Events come several times."""

    copies: int = 2
    kinds: tuple[str, ...] = WATCHED
    skip: int = 0
    times: int = 1000


@dataclass(frozen=True, slots=True)
class DropSuperseded:
    """Events are dropped that a later one of the same object follows within so many seconds."""

    seconds: float
    kinds: tuple[str, ...] = WATCHED
    skip: int = 0
    times: int = 1000


@dataclass(frozen=True, slots=True)
class DropThenGone:
    """So many events are dropped, then the watch ends with 410; what it said last is too old by then."""

    events: int
    kinds: tuple[str, ...] = WATCHED
    skip: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True)
class CutLine:
    """The connection ends in the middle of an event."""

    kinds: tuple[str, ...] = WATCHED
    skip: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing comes for so many seconds, then everything; `bookmarks`: they alone come, one a second.

    Without an end only the operator's own watchdog helps.
    """

    seconds: float
    bookmarks: bool = False
    kinds: tuple[str, ...] = WATCHED
    skip: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True)
class Stale:
    """A list, streaming or paged, tells how things were so many versions ago; the rest follows `seconds` later."""

    versions: int
    seconds: float = 1.0
    kinds: tuple[str, ...] = WATCHED
    skip: int = 0
    times: int = 1


WatchFault = Hold | Repeat | DropSuperseded | DropThenGone | CutLine | Silence
ProxyFault = Kill | RequestFault | WatchFault | Stale


@dataclass(slots=True)
class Budget:
    """How often a fault has been met, and how often it has struck."""

    fault: ProxyFault
    met: int = 0
    struck: int = 0

    def strikes(self) -> bool:
        """Count one occasion; whether the fault strikes at it."""
        self.met += 1
        first, times = (
            (self.fault.write, 1) if isinstance(self.fault, Kill) else (self.fault.skip + 1, self.fault.times)
        )
        hit = first <= self.met < first + times
        self.struck += hit
        return hit
