"""Which lines of docs/acceptance/reference-apis.md tests show: a plugin of pytest, and the table that it makes.

A test says `@pytest.mark.acceptance("V12", "V13")`. A number that no line has ends the run at collection.
`pytest --acceptance FILE` appends one JSON line for each such test to FILE, with `--acceptance-only` runs no others;
`python -m tests.support.acceptance FILE` prints the table of such a file, with `--counts` how many of each section
passed and those that did not. It fails if a line failed or, with `--counts`, if no test shows it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Mapping
from functools import cache
from pathlib import Path

import pytest

LINES = Path(__file__).parents[2] / "docs/acceptance/reference-apis.md"
MARK, OPTION, ONLY = "acceptance", "--acceptance", "--acceptance-only"
VERDICTS = PASS, FAIL, MISSING = "pass", "fail", "missing"
_LINE = re.compile(r"^- \*\*([A-Z]\d+)\*\* (.+)$", re.MULTILINE)
_PASSED = pytest.StashKey[bool]()


@cache
def lines() -> dict[str, str]:
    """Text of each line by its number, in the order of the document; ValueError: a number stands there twice."""
    found: list[tuple[str, str]] = _LINE.findall(LINES.read_text())
    doubled = [number for number, count in Counter(number for number, _ in found).items() if count > 1]
    if doubled:
        raise ValueError(f"{LINES.name}: {', '.join(doubled)} stand there more than once")
    return dict(found)


def shown_by(item: pytest.Item) -> list[str]:
    """Numbers of the lines that a test says it shows."""
    return [str(number) for mark in item.iter_markers(MARK) for number in mark.args]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, metavar="FILE", help="what became of tests of the reference interfaces' lines, to FILE")
    parser.addoption(ONLY, action="store_true", help="run only these tests")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    known = lines()
    for item in items:
        unknown = [number for number in shown_by(item) if number not in known]
        if unknown:
            raise pytest.UsageError(f"{item.nodeid}: {LINES.name} has no line {', '.join(unknown)}")
    if config.getoption(ONLY):
        config.hook.pytest_deselected(items=[item for item in items if not shown_by(item)])
        items[:] = [item for item in items if shown_by(item)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # Set up, run and torn down: a line is shown if all of it passed; what was skipped shows nothing.
    item.stash[_PASSED] = item.stash.get(_PASSED, True) and report.passed
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    handled = yield
    file = item.config.getoption(OPTION)
    if file and shown_by(item):
        row = {"test": item.nodeid, "passed": item.stash.get(_PASSED, False), "lines": shown_by(item)}
        with Path(file).open("a") as results:
            results.write(json.dumps(row) + "\n")
    return handled


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A suite of which no test shows a line is no failure."""
    if session.config.getoption(ONLY) and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK


def verdicts(results: Iterable[Mapping[str, object]]) -> dict[str, tuple[str, list[str]]]:
    """Of each line pass, fail or missing, and the tests that failed; a line fails with any of its tests."""
    tests: dict[str, list[tuple[bool, str]]] = defaultdict(list)
    for row in results:
        shown = row["lines"]
        assert isinstance(shown, list)
        for number in shown:
            tests[number].append((bool(row["passed"]), str(row["test"])))
    found = {}
    for number in lines():
        failed = [test for passed, test in tests[number] if not passed]
        found[number] = (FAIL if failed else PASS if tests[number] else MISSING, failed)
    return found


def table(found: Mapping[str, tuple[str, list[str]]]) -> str:
    """A row for each line, and counts of each section."""
    return "\n".join([row for number in found for row in _rows(number, *found[number])] + _counts(found))


def summary(found: Mapping[str, tuple[str, list[str]]]) -> str:
    """Counts of each section, and a row for each line that did not pass."""
    amiss = [number for number, (verdict, _) in found.items() if verdict != PASS]
    return "\n".join([row for number in amiss for row in _rows(number, *found[number])] + _counts(found))


def _rows(number: str, verdict: str, failed: list[str]) -> list[str]:
    return [f"{number:<5} {verdict:<8} {lines()[number]}", *(f"{'':<14} failed: {test}" for test in failed)]


def _counts(found: Mapping[str, tuple[str, list[str]]]) -> list[str]:
    sections: dict[str, Counter[str]] = defaultdict(Counter)
    for number, (verdict, _) in found.items():
        sections[number[0]][verdict] += 1
    return [
        f"section {section}: {', '.join(f'{counts[verdict]} {verdict}' for verdict in VERDICTS)} of {counts.total()}"
        for section, counts in sections.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="What became of the lines of the reference interfaces.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--counts", action="store_true", help="all tests ran: only what passed, and what is amiss")
    options = parser.parse_args()
    found = verdicts(json.loads(line) for line in options.file.read_text().splitlines())
    print((summary if options.counts else table)(found))
    refused = {FAIL, MISSING} if options.counts else {FAIL}
    return int(any(verdict in refused for verdict, _ in found.values()))


if __name__ == "__main__":
    sys.exit(main())
