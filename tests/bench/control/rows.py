"""The table: rows with medians, spread and ratios, as JSON and as Markdown."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.control.notes import note_on


@dataclass(frozen=True)
class Section:
    """A part of the page that a run writes, between marks."""

    title: str
    begin: str
    end: str


CONTROL = Section(
    "Control plane", "<!-- bench-control: written by `make bench-control` -->", "<!-- bench-control: end -->"
)
GPU = Section("Data plane on a GPU", "<!-- bench-gpu: written by `make bench-gpu` -->", "<!-- bench-gpu: end -->")
GATEWAY = Section("Gateway", "<!-- bench-gateway: written by `make bench-gateway` -->", "<!-- bench-gateway: end -->")
DATA = Section("Data plane on CPU", "<!-- bench-data: written by `make bench-data` -->", "<!-- bench-data: end -->")


@dataclass(frozen=True)
class Row:
    """One measure, ours beside a peer's or alone. Figures are one a round; ratios are of medians."""

    measure: str
    against: str
    ours: Sequence[float]
    theirs: Sequence[float] = ()
    """Empty: there is no peer, and `reach` is an absolute figure."""
    reach: float | None = None
    """None: told only."""
    unit: str = "s"
    more_is_better: bool = False
    remark: str = ""
    """What this run found beside the figures."""

    @property
    def ratio(self) -> float | None:
        """Ours over theirs."""
        if not self.theirs or not self.ours:
            return None
        base = statistics.median(self.theirs)
        return statistics.median(self.ours) / base if base else None

    @property
    def note(self) -> str:
        """What holds it back, or what to know when reading it."""
        return self.remark or note_on(self.measure, self.against)

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.reach is None or not self.ours:
            return None
        found = statistics.median(self.ours) if self.ratio is None else self.ratio
        return found >= self.reach if self.more_is_better else found <= self.reach

    def document(self) -> dict[str, Any]:
        """For control.json."""
        return {
            "measure": self.measure,
            "against": self.against,
            "ours": _figure(self.ours),
            "theirs": _figure(self.theirs),
            "ratio": None if self.ratio is None else _short(self.ratio),
            "reach": self.reach,
            "met": self.met,
            "unit": self.unit,
            "moreIsBetter": self.more_is_better,
            "rounds": {"ours": [_short(each) for each in self.ours], "theirs": [_short(each) for each in self.theirs]},
            "note": self.note,
            "remark": self.remark,
        }

    @classmethod
    def of_document(cls, row: dict[str, Any]) -> Row:
        """The reverse of `document`."""
        rounds = row["rounds"]
        figures = rounds["ours"], rounds["theirs"], row["reach"]
        return cls(row["measure"], row["against"], *figures, row["unit"], row["moreIsBetter"], row.get("remark", ""))


@dataclass
class Table:
    """All rows of a run and what it ran on."""

    head: dict[str, Any]
    rows: list[Row] = field(default_factory=list)

    @classmethod
    def read(cls, results: Path) -> Table:
        """The table that was written last."""
        document = json.loads(results.read_text(encoding="utf-8"))
        rows = [Row.of_document(row) for row in document.pop("rows")]
        return cls(document, rows)

    def keep_others(self, results: Path) -> None:
        """Take over the rows of an earlier run that this one did not measure."""
        if results.exists():
            measured = {(row.measure, row.against) for row in self.rows}
            earlier = Table.read(results)
            self.rows += [row for row in earlier.rows if (row.measure, row.against) not in measured]

    def write(self, results: Path, page: Path, section: Section = CONTROL) -> None:
        """Write the figures as JSON, and the table into the page between the section's marks."""
        document = {**self.head, "rows": [row.document() for row in self.rows]}
        results.parent.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        page.write_text(between(page.read_text(encoding="utf-8"), self.markdown(), section), encoding="utf-8")

    def markdown(self) -> str:
        """The table as it stands in the page."""
        head = ", ".join(f"{name} {value}" for name, value in self.head.items())
        lines = [
            f"{head[0].upper()}{head[1:]}. Medians (least to most) over the rounds; ours and the peer's took turns.",
            "",
            "| what | ours | against | theirs | ratio | reach | met |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *(_line(row) for row in self.rows),
        ]
        notes = [
            f"- **{row.measure}**, against {row.against or 'no peer'}: {row.note}" for row in self.rows if row.note
        ]
        return "\n".join([*lines, "", *notes])


def between(page: str, text: str, section: Section = CONTROL) -> str:
    """The page with a new text between the section's marks; at its end where it has none."""
    if section.begin not in page:
        page = f"{page.rstrip()}\n\n## {section.title}\n{section.begin}\n{section.end}\n"
    before, _, rest = page.partition(section.begin)
    _, _, after = rest.partition(section.end)
    return f"{before}{section.begin}\n{text}\n{section.end}{after}"


def head() -> dict[str, str]:
    """When and on what this runs."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, {platform.system()} {platform.release()}",
        "load": f"{os.getloadavg()[1]:.1f} processes at the start",
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which so large a share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _line(row: Row) -> str:
    sign = "≥" if row.more_is_better else "≤"
    times = "x" if row.theirs else f" {row.unit}"
    reach = "-" if row.reach is None else f"{sign} {_plain(row.reach)}{times}"
    met = {None: "-", True: "yes", False: "no"}[row.met]
    ratio = "-" if row.ratio is None else f"{_plain(row.ratio)}x"
    ours, theirs = _spread(row.ours, row.unit), _spread(row.theirs, row.unit)
    return f"| {row.measure} | {ours} | {row.against or '-'} | {theirs} | {ratio} | {reach} | {met} |"


def _spread(values: Sequence[float], unit: str) -> str:
    if not values:
        return "-"
    middle = f"{_plain(statistics.median(values))} {unit}".strip()
    return middle if len(values) == 1 else f"{middle} ({_plain(min(values))} to {_plain(max(values))})"


def _figure(values: Sequence[float]) -> float | None:
    return _short(statistics.median(values)) if values else None


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _plain(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
