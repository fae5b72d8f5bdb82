"""What the supervisor decides, and a real one with real processes."""

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from localcluster.cluster import hopeless, missing_parts
from localcluster.files import read_json, write_json
from localcluster.layout import Layout
from localcluster.parts import Part, Probe, all_parts, part_from_json
from localcluster.processes import Identity, identify
from localcluster.status import line
from localcluster.supervision import PartState, exit_text, may_start, pause_s, record_exit, record_start, signature
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
LEAF = Part("leaf", ("sleep", "1000"), (), Probe("process", ""))
NEEDS_LEAF = Part("top", ("sleep", "1000"), ("leaf",), Probe("process", ""))


def test_the_pause_doubles_up_to_half_a_minute() -> None:
    assert [pause_s(n) for n in (1, 2, 3, 7, 50)] == [0.5, 1.0, 2.0, 30.0, 30.0]


def test_quick_ends_add_up_and_a_long_run_forgets_them() -> None:
    state = PartState(identity=Identity(1, 1), since=100.0)
    record_exit(state, 1, now=101.0)
    record_start(state, LEAF, Identity(2, 1), now=102.0)
    record_exit(state, 1, now=103.0)
    assert (state.failures, state.next_start, state.restarts) == (2, 104.0, 1)
    record_start(state, LEAF, Identity(3, 1), now=104.0)
    record_exit(state, -9, now=104.0 + 60.0)
    assert (state.failures, state.exits[-1]["what"]) == (1, "killed by SIGKILL")


def test_a_part_waits_for_what_it_needs_and_for_its_pause() -> None:
    states = {"leaf": PartState(), "top": PartState(next_start=10.0)}
    assert may_start(LEAF, states, now=0.0)
    assert not may_start(NEEDS_LEAF, states, now=20.0)
    states["leaf"].ready = True
    assert not may_start(NEEDS_LEAF, states, now=9.0)
    assert may_start(NEEDS_LEAF, states, now=10.0)


def test_a_running_part_is_not_started_again() -> None:
    assert not may_start(LEAF, {"leaf": PartState(identity=Identity(1, 1))}, now=5.0)


def test_a_part_that_runs_as_it_was_planned_before_is_waited_for() -> None:
    state = PartState()
    assert missing_parts([LEAF], {}) == ["leaf"]
    record_start(state, LEAF, this_process(), now=0.0)
    assert missing_parts([LEAF], {"leaf": state}) == ["leaf"]
    state.ready = True
    assert missing_parts([LEAF], {"leaf": state}) == []
    other = replace(LEAF, argv=("sleep", "2000"))
    assert missing_parts([other], {"leaf": state}) == ["leaf"]


def this_process() -> Identity:
    found = identify(os.getpid())
    assert found is not None
    return found


def test_only_the_latest_ends_are_kept() -> None:
    state = PartState()
    for now in range(25):
        record_exit(state, 0, float(now))
    assert [entry["at"] for entry in state.exits] == [float(now) for now in range(15, 25)]


@pytest.mark.parametrize(
    ("code", "text"),
    [(0, "ended with exit code 0"), (-15, "killed by SIGTERM"), (None, "ended (its exit code is not known)")],
)
def test_ends_are_told_in_words(code: int | None, text: str) -> None:
    assert exit_text(code) == text


def test_state_survives_its_file() -> None:
    state = PartState(identity=Identity(7, 8), signature="s", since=1.5, ready=True, restarts=2)
    record_exit(state, 3, 9.0)
    assert PartState.from_json(state.to_json()) == state


def state_with_ends(times: list[float], identity: Identity | None = None) -> PartState:
    exits = [{"at": at, "what": "ended with exit code 1", "ran_s": 0.1, "was_ready": False} for at in times]
    return PartState(identity=identity, ready=identity is not None, exits=exits)


def test_a_part_is_given_up_when_it_is_down_and_kept_ending_while_waited_for() -> None:
    often = [101.0, 102.0, 103.0, 104.0, 105.0]
    states = {
        "looping": state_with_ends(often),
        "starting": state_with_ends(often[1:]),
        "ended before": state_with_ends([at - 50 for at in often]),
        "recovered": state_with_ends(often, identify(os.getpid())),
    }
    assert hopeless(states, since=100.0) == ["looping"]


def test_the_plan_survives_its_file_and_names_what_runs_before(tmp_path: Path) -> None:
    parts = all_parts(Layout(tmp_path, tmp_path, "1.36.3"))
    for at, part in enumerate(parts):
        assert part_from_json(part.to_json()) == part
        assert set(part.after) <= {earlier.name for earlier in parts[:at]}


def test_a_changed_command_line_changes_the_signature() -> None:
    assert signature(LEAF) != signature(Part("leaf", ("sleep", "999"), (), Probe("process", "")))


@pytest.mark.parametrize(
    ("alive", "healthy", "word", "trouble"),
    [(True, True, "running", False), (True, False, "not ready", True), (False, False, "down", True)],
)
def test_status_calls_everything_but_running_and_ready_trouble(
    alive: bool, healthy: bool, word: str, trouble: bool
) -> None:
    shown = line(LEAF, PartState(identity=Identity(9, 1), since=0.0), alive=alive, healthy=healthy, now=61.0)
    assert (shown.state, shown.trouble) == (word, trouble)


class Running:
    """A real supervisor over two `sleep` processes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("logs", "pids"):
            (directory / name).mkdir()
        self.write_plan([LEAF, NEEDS_LEAF])
        self.process = self.start()

    def write_plan(self, parts: list[Part]) -> None:
        write_json(self.directory / "plan.json", {"parts": [part.to_json() for part in parts]})

    def start(self) -> "subprocess.Popen[bytes]":
        argv = [sys.executable, "-m", "localcluster.supervisor", str(self.directory)]
        return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL)

    def part(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = read_json(self.directory / "state.json").get("parts", {}).get(name, {})
        return found

    def await_ready(self) -> None:
        wait_until(
            lambda: bool(self.part("leaf").get("ready") and self.part("top").get("ready")), "both parts are ready"
        )

    def pids(self) -> tuple[int, int]:
        return self.part("leaf")["pid"], self.part("top")["pid"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    supervised = Running(tmp_path)
    try:
        supervised.await_ready()
        yield supervised
    finally:
        supervised.process.terminate()
        supervised.process.wait(60)


def is_process(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_part_has_the_home_of_its_user_and_nothing_of_the_caller(running: Running) -> None:
    entries = Path(f"/proc/{running.pids()[0]}/environ").read_bytes().decode().rstrip("\0").split("\0")
    environment = dict(entry.split("=", 1) for entry in entries)
    assert environment["HOME"] == pwd.getpwuid(os.geteuid()).pw_dir
    assert set(environment) == {"PATH", "HOME", "LANG"}


def test_a_killed_part_is_noticed_told_and_restarted(running: Running) -> None:
    before, other = running.pids()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: running.part("leaf").get("restarts") == 1 and running.part("leaf")["ready"], "leaf is back")
    after, still = running.pids()
    assert after != before
    assert still == other
    assert running.part("leaf")["exits"][-1]["what"] == "killed by SIGKILL"


def test_ending_the_supervisor_ends_the_parts(running: Running) -> None:
    pids = running.pids()
    running.process.terminate()
    assert running.process.wait(60) == 0
    assert not any(is_process(pid) for pid in pids)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1], ids=["killed", "told to leave"])
def test_a_new_supervisor_adopts_what_the_one_before_left(running: Running, number: signal.Signals) -> None:
    before = running.pids()
    running.process.send_signal(number)
    running.process.wait(30)
    assert all(is_process(pid) for pid in before)
    running.process = running.start()
    owner = running.process.pid
    wait_until(lambda: read_json(running.directory / "state.json")["supervisor"]["pid"] == owner, "the new one writes")
    assert running.pids() == before
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: running.part("leaf")["pid"] not in (None, before[0]), "the adopted part is restarted")


def test_a_changed_plan_restarts_only_what_changed(running: Running) -> None:
    leaf, top = running.pids()
    running.write_plan([LEAF, Part("top", ("sleep", "2000"), ("leaf",), Probe("process", ""))])
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: running.part("top").get("pid") not in (None, top), "top runs with its new arguments")
    assert running.part("leaf")["pid"] == leaf
    assert not is_process(top)


def test_a_plan_that_changed_without_a_supervisor_is_carried_out_by_the_next(running: Running) -> None:
    """As where `up` of a newer checkout puts a new supervisor in the place of the running one."""
    leaf, top = running.pids()
    running.process.send_signal(signal.SIGUSR1)
    running.process.wait(30)
    running.write_plan([Part("top", ("sleep", "2000"), (), Probe("process", ""))])
    running.process = running.start()
    wait_until(lambda: running.part("top").get("pid") not in (None, top), "top runs with its new arguments")
    # Whose parent is gone may stay a zombie, where nobody waits for it.
    assert [identify(pid) for pid in (leaf, top)] == [None, None]
    assert not running.part("leaf")


def test_a_program_that_is_missing_is_recorded_not_fatal(running: Running) -> None:
    running.write_plan([LEAF, Part("top", ("/no/such/program",), ("leaf",), Probe("process", ""))])
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: running.part("top").get("failures", 0) >= 2, "the missing program is tried again")
    assert running.part("top")["exits"][-1]["what"] == "ended with exit code 127"
    assert running.process.poll() is None
