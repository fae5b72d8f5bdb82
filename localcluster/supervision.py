"""What the supervisor knows of each part, and its decisions: no process and no clock in here."""

import hashlib
import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcluster.parts import Part
from localcluster.processes import Identity

# A part that ran this long before it ended starts its back-off anew.
STEADY_S = 60.0
LONGEST_PAUSE_S = 30.0
EXITS_KEPT = 10


@dataclass
class PartState:
    """One part as the supervisor sees it; times are seconds since the epoch."""

    identity: Identity | None = None
    signature: str = ""
    since: float = 0.0
    ready: bool = False
    restarts: int = 0
    failures: int = 0
    next_start: float = 0.0
    exits: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For the state file."""
        pid, start = (self.identity.pid, self.identity.start_ticks) if self.identity else (None, None)
        return {
            "pid": pid,
            "start_ticks": start,
            "signature": self.signature,
            "since": self.since,
            "ready": self.ready,
            "restarts": self.restarts,
            "failures": self.failures,
            "next_start": self.next_start,
            "exits": self.exits,
        }

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> "PartState":
        """The reverse of ``to_json``."""
        identity = Identity(content["pid"], content["start_ticks"]) if content["pid"] else None
        rest = {key: value for key, value in content.items() if key not in ("pid", "start_ticks")}
        return PartState(identity=identity, **rest)


def signature(part: Part) -> str:
    """Changes when the part has to be started anew to run as the plan says."""
    return hashlib.sha256(json.dumps([part.argv, part.cwd]).encode()).hexdigest()[:16]


def code_signature() -> str:
    """Changes when the supervisor's own code does, so that `up` can put a new one in place of a running one."""
    here = Path(__file__).resolve().parent
    names = ("supervisor.py", "supervision.py", "processes.py", "probes.py", "parts.py", "files.py")
    return hashlib.sha256(b"".join((here / name).read_bytes() for name in names)).hexdigest()[:16]


def pause_s(failures: int) -> float:
    """Back-off before the next start: 0.5 s, 1 s, 2 s ... 30 s."""
    return min(LONGEST_PAUSE_S, 0.5 * 2.0 ** max(0, failures - 1))


def exit_text(code: int | None) -> str:
    """How a process ended, in words; None is a process that was not our child."""
    if code is None:
        return "ended (its exit code is not known)"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def record_exit(state: PartState, code: int | None, now: float) -> None:
    """The part ended: remember it and decide when it starts again."""
    state.failures = 1 if now - state.since >= STEADY_S else state.failures + 1
    state.next_start = now + pause_s(state.failures)
    entry = {"at": now, "what": exit_text(code), "ran_s": round(now - state.since, 1), "was_ready": state.ready}
    state.exits = [*state.exits, entry][-EXITS_KEPT:]
    state.identity = None
    state.ready = False


def record_start(state: PartState, part: Part, identity: Identity, now: float) -> None:
    """The part was started."""
    state.restarts += 1 if state.exits else 0
    state.identity, state.signature, state.since, state.ready = identity, signature(part), now, False


def may_start(part: Part, states: Mapping[str, PartState], now: float) -> bool:
    """Whether the part is down, its pause is over and everything it needs is ready."""
    own = states[part.name]
    if own.identity is not None or now < own.next_start:
        return False
    return all(states[name].ready for name in part.after)
