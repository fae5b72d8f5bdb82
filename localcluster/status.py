"""``status``: what runs, since when, what died, and whether anything is wrong."""

import time
from dataclasses import dataclass

from localcluster.console import clock_text
from localcluster.files import read_json
from localcluster.layout import Layout
from localcluster.parts import Part
from localcluster.probes import is_ready
from localcluster.processes import Identity, boot_id, is_alive
from localcluster.shell import tail
from localcluster.supervision import PartState


@dataclass(frozen=True)
class Line:
    """One part in the table of ``status``."""

    name: str
    state: str
    pid: str
    age: str
    restarts: str
    trouble: bool


def read_record(layout: Layout) -> dict[str, PartState]:
    """What the supervisor wrote last."""
    parts = read_json(layout.record).get("parts", {})
    return {name: PartState.from_json(content) for name, content in parts.items()}


def supervisor_identity(layout: Layout) -> Identity | None:
    """The living supervisor of this cluster, if there is one in this boot."""
    recorded = read_json(layout.record).get("supervisor")
    if recorded is None or read_json(layout.origin).get("boot_id") != boot_id():
        return None
    identity = Identity(recorded["pid"], recorded["start_ticks"])
    return identity if is_alive(identity) else None


def is_up(state: PartState) -> bool:
    """Whether the part was seen ready and its process still lives."""
    return state.ready and is_alive(state.identity)


def line(part: Part, state: PartState | None, *, alive: bool, healthy: bool, now: float) -> Line:
    """How one part is shown; trouble is anything but running and answering."""
    restarts = str(state.restarts if state else 0)
    if state is None or state.identity is None or not alive:
        return Line(part.name, "down", "-", "-", restarts, True)
    word = "running" if healthy else "not ready"
    return Line(part.name, word, str(state.identity.pid), clock_text(now - state.since), restarts, not healthy)


def report(layout: Layout, parts: list[Part]) -> tuple[str, bool]:
    """The text of ``status`` and whether all is well."""
    if not layout.origin.exists():
        return f"no cluster in {layout.state}; bring it up with: python3 -m localcluster up", False
    states, now = read_record(layout), time.time()
    supervisor = supervisor_identity(layout)
    lines = []
    for part in parts:
        state = states.get(part.name)
        alive = state is not None and is_alive(state.identity)
        lines.append(line(part, state, alive=alive, healthy=alive and is_ready(part.probe), now=now))
    text = [f"{'supervisor':24} {'running' if supervisor else 'down':10} {supervisor.pid if supervisor else '-'}"]
    text += [f"{one.name:24} {one.state:10} {one.pid:>7} up {one.age:>7}  restarts {one.restarts}" for one in lines]
    text += _deaths(layout, states)
    well = supervisor is not None and not any(one.trouble for one in lines)
    if supervisor is None:
        text.append("nobody watches the parts; `python3 -m localcluster up` starts the supervisor again")
    return "\n".join(text), well


def _deaths(layout: Layout, states: dict[str, PartState]) -> list[str]:
    text = []
    for name, state in states.items():
        for entry in state.exits[-3:]:
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry["at"]))
            text.append(f"{name} {entry['what']} at {at} after {entry['ran_s']} s")
        if state.exits:
            text.append(f"last lines of {layout.logs / name}.log:\n{_indented(tail(layout.logs / f'{name}.log', 5))}")
    return text


def _indented(text: str) -> str:
    return "\n".join(f"    {one[:200]}" for one in text.splitlines())


def explain_trouble(layout: Layout, names: list[str]) -> str:
    """Which part does not come up, and what it said last."""
    states = read_record(layout)
    paragraphs = []
    for name in names:
        log = layout.logs / f"{name}.log"
        ends = states[name].exits[-1:] if name in states else []
        how = f"it {ends[0]['what']}" if ends else "it runs but is not ready"
        paragraphs.append(f"{name} does not come up: {how}. Last lines of {log}:\n{tail(log)}")
    return "\n".join(paragraphs)
