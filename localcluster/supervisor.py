"""The process that keeps the parts running: starts, watches, restarts and stops them.

It adopts what a supervisor before it had started, so that its own death costs no part its life.
SIGHUP reads the plan again; SIGUSR1 ends the supervisor alone, for one of newer code to adopt the parts; SIGTERM
stops every part, last one first, and ends.
"""

import os
import pwd
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from localcluster.files import read_json, write_atomically, write_json
from localcluster.parts import Part, part_from_json
from localcluster.probes import is_ready
from localcluster.processes import Identity, identify, is_alive, stop
from localcluster.supervision import PartState, code_signature, may_start, record_exit, record_start, signature

BUSY_POLL_S = 0.2
CALM_POLL_S = 2.0
GRACE_S = 4.0
LOG_LIMIT = 50 * 1024 * 1024
# Nothing of the caller's environment reaches the parts: a proxy variable there would catch in-cluster calls.
PART_ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": pwd.getpwuid(os.geteuid()).pw_dir,
    "LANG": "C.UTF-8",
}


class Supervisor:
    """Runs the plan found in a state directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._parts: list[Part] = []
        recorded = read_json(directory / "state.json").get("parts", {})
        self._states = {name: PartState.from_json(content) for name, content in recorded.items()}
        self._written = ""
        self._code = code_signature()
        # The plan may have changed since those were started.
        self.reload()

    def _read_plan(self) -> list[Part]:
        return [part_from_json(entry) for entry in read_json(self._directory / "plan.json")["parts"]]

    def reload(self) -> None:
        """Take over the plan: parts that changed or are gone from it are stopped; tick starts what is down, at once."""
        self._parts = self._read_plan()
        wanted = {part.name: signature(part) for part in self._parts}
        for name, state in list(self._states.items()):
            if state.identity is not None and state.signature != wanted.get(name):
                stop(state.identity, GRACE_S)
                self._reap(name)
                state.identity, state.ready = None, False
            state.next_start, state.failures = 0.0, 0
            if name not in wanted:
                del self._states[name]
        for name in wanted:
            self._states.setdefault(name, PartState())

    def tick(self, now: float) -> bool:
        """One look at everything; returns whether all parts run and are ready."""
        for part in self._parts:
            state = self._states[part.name]
            self._notice_end(part.name, state, now)
            if may_start(part, self._states, now):
                self._start(part, state, now)
            if state.identity is not None and not state.ready:
                state.ready = is_ready(part.probe)
        self._write_state()
        return all(state.ready for state in self._states.values())

    def _notice_end(self, name: str, state: PartState, now: float) -> None:
        code = self._reap(name)
        if state.identity is not None and not is_alive(state.identity):
            record_exit(state, code, now)
            print(f"{_stamp(now)} {name} {state.exits[-1]['what']}", flush=True)

    def _reap(self, name: str) -> int | None:
        child = self._children.get(name)
        if child is None or child.poll() is None:
            return None
        return self._children.pop(name).returncode

    def _start(self, part: Part, state: PartState, now: float) -> None:
        try:
            child = _spawn(part, self._directory / "logs" / f"{part.name}.log")
        except OSError as refused:
            state.since = now
            record_exit(state, 127, now)
            print(f"{_stamp(now)} {part.name} cannot be started: {refused}", flush=True)
            return
        identity = identify(child.pid)
        self._children[part.name] = child
        # None: it ended at once and is a zombie; the number alone is enough for the next look to notice.
        record_start(state, part, identity or Identity(child.pid, 0), now)
        write_atomically(self._directory / "pids" / f"{part.name}.pid", f"{child.pid}\n")
        print(f"{_stamp(now)} {part.name} started with pid {child.pid}", flush=True)

    def stop_all(self) -> None:
        """Stop every part, the last started first."""
        for part in reversed(self._parts):
            identity = self._states[part.name].identity
            if identity is not None:
                stop(identity, GRACE_S)
                self._reap(part.name)
                print(f"{_stamp(time.time())} {part.name} stopped", flush=True)

    def _write_state(self) -> None:
        me = identify(os.getpid())
        content = {
            "supervisor": {"pid": os.getpid(), "start_ticks": me.start_ticks if me else 0, "code": self._code},
            "parts": {name: state.to_json() for name, state in self._states.items()},
        }
        if str(content) != self._written:
            write_json(self._directory / "state.json", content)
            self._written = str(content)


def _stamp(now: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))


def _spawn(part: Part, log: Path) -> subprocess.Popen[bytes]:
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.rename(log.with_suffix(".log.1"))
    with log.open("ab") as out:
        return subprocess.Popen(
            part.argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=part.cwd,
            env=PART_ENV,
            start_new_session=True,
        )


class Signals:
    """Signals as flags, and a wait that a signal cuts short."""

    def __init__(self) -> None:
        self.terminate = False
        self.reload = False
        self.leave = False
        self._reader, writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: object) -> None:
        self.terminate |= number in (signal.SIGTERM, signal.SIGINT)
        self.reload |= number == signal.SIGHUP
        self.leave |= number == signal.SIGUSR1

    def wait(self, timeout_s: float) -> None:
        """Sleep until a signal or the end of the time."""
        if select.select([self._reader], [], [], timeout_s)[0]:
            os.read(self._reader, 4096)


def main(argv: list[str]) -> int:
    """Supervise the cluster in the state directory named by the first argument."""
    signals = Signals()
    supervisor = Supervisor(Path(argv[0]))
    while not signals.terminate:
        if signals.leave:
            return 0
        if signals.reload:
            signals.reload = False
            supervisor.reload()
        calm = supervisor.tick(time.time())
        signals.wait(CALM_POLL_S if calm else BUSY_POLL_S)
    supervisor.stop_all()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
