"""Running other programs: captured output, a clock while they run, an error that shows what they said."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcluster.console import Step
from localcluster.errors import LocalClusterError

POLL_S = 0.5


def require_root(purpose: str) -> None:
    """Refuse early, in one sentence, what would fail half-way without root."""
    if os.geteuid() != 0:
        raise LocalClusterError(f"run this as root: {purpose}")


def tail(path: Path, lines: int = 20) -> str:
    """The last lines of a text file, or a remark that there are none."""
    if not path.exists():
        return "(no log was written)"
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 65536))
        text = log.read().decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def run(argv: Sequence[str], *, stdin: str | None = None, check: bool = True) -> str:
    """Run to the end and return stdout; a non-zero exit raises with the program's own words."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError as missing:
        raise LocalClusterError(f"{argv[0]} is not installed: it was needed for `{' '.join(argv)}`") from missing
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LocalClusterError(f"`{' '.join(argv)}` ended with {done.returncode}: {said}")
    return done.stdout


def succeeds(argv: Sequence[str]) -> bool:
    """Whether a program exists and exits with zero."""
    try:
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0
    except (FileNotFoundError, PermissionError):
        return False


def run_logged(
    argv: Sequence[str], log: Path, current: Step, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> None:
    """Run a long program with its output in a log file and the clock ticking.

    Raises LocalClusterError with the last 20 lines of the log when it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=cwd, env=env or os.environ
        )
        try:
            while child.poll() is None:
                current.tick()
                time.sleep(POLL_S)
        except BaseException:
            child.kill()
            child.wait()
            raise
    if child.returncode != 0:
        raise LocalClusterError(
            f"{current.title} failed: `{' '.join(argv)}` ended with {child.returncode}.\n"
            f"Last lines of {log}:\n{tail(log)}"
        )
