"""What people see. On a terminal with colours and bars; elsewhere, and with NO_COLOR, plain lines that can be cut."""

import datetime
import os
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from videofleet_api.phases import Phase

_WIDE = 1000
_COLOURS = {
    Phase.INPROGRESS: "green",
    Phase.COMPLETED: "green",
    Phase.STARTING: "cyan",
    Phase.AWAITING: "yellow",
    Phase.DISCONNECTED: "yellow",
    Phase.TOO_MANY_CAMERAS: "yellow",
    Phase.DISABLED: "dim",
    Phase.INTERRUPTED: "red",
    Phase.MISCONFIGURED: "red",
    Phase.NOT_STARTED: "red",
}


def output() -> Console:
    """Standard output. Where it is no terminal, lines are as long as they are."""
    return _console(stderr=False)


def messages() -> Console:
    """Standard error."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if terminal else int(os.environ.get("COLUMNS", _WIDE))
    return Console(stderr=stderr, width=width, highlight=False, emoji=False, markup=False)


def phase_text(phase: str) -> Text:
    """The phase in its colour."""
    known = Phase(phase) if phase in set(Phase) else None
    return Text(phase, style=_COLOURS.get(known, "") if known else "")


def table(headers: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Columns as kubectl prints them; without any header, lines of a name and what belongs to it."""
    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold", show_header=any(headers))
    for header in headers:
        made.add_column(header, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def span(seconds: float) -> str:
    """A duration as kubectl writes it: 42s, 3m12s, 5h3m, 2d4h."""
    whole = max(0, int(seconds))
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size}{unit}" + (f"{rest}{smaller}" if rest else "")
    return f"{whole}s"


def since(time: str | None, now: datetime.datetime) -> str:
    """How long ago an RFC 3339 time was; empty where there is none."""
    parsed = moment(time)
    return "" if parsed is None else span((now - parsed).total_seconds())


def moment(time: str | None) -> datetime.datetime | None:
    """An RFC 3339 time; None where it is none."""
    try:
        return None if time is None else datetime.datetime.fromisoformat(time)
    except ValueError:
        return None


def clock(time: str | None) -> str:
    """Hours, minutes and seconds here; empty where there is no time."""
    parsed = moment(time)
    return "" if parsed is None else parsed.astimezone().strftime("%H:%M:%S")


def utc_now() -> datetime.datetime:
    """Now, with its time zone."""
    return datetime.datetime.now(datetime.UTC)
