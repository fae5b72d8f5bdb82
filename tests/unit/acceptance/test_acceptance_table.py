"""The lines of the reference interfaces, and what is told of them after a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.acceptance import FAIL, MISSING, PASS, lines, summary, table, verdicts

ROOT = Path(__file__).parents[3]
SECTIONS = {"F": range(1, 95), "V": range(1, 108), "X": range(1, 14), "A": [*range(1, 21), 44, 45, 46]}


def test_the_document_has_every_line_of_the_sections_that_the_gateway_speaks() -> None:
    assert list(lines()) == [f"{section}{number}" for section, numbers in SECTIONS.items() for number in numbers]


def test_a_line_fails_with_any_of_its_tests_and_is_missing_without_one() -> None:
    found = verdicts(
        [
            {"test": "a", "passed": True, "lines": ["V1", "V2"]},
            {"test": "b", "passed": False, "lines": ["V2"]},
            {"test": "c", "passed": True, "lines": ["V2"]},
        ]
    )
    assert found["V1"] == (PASS, [])
    assert found["V2"] == (FAIL, ["b"])
    assert found["V3"] == (MISSING, [])
    told = table(found)
    assert "section V: 1 pass, 1 fail, 105 missing of 107" in told
    assert "V40   missing  202 body: `id`" in told
    assert "failed: b" in told


def test_what_is_told_in_short_are_the_counts_and_the_lines_that_did_not_pass() -> None:
    rows = [{"test": "a", "passed": True, "lines": [number]} for number in lines() if number not in ("V2", "V3")]
    told = summary(verdicts([*rows, {"test": "b", "passed": False, "lines": ["V2"]}])).splitlines()
    assert [row.split()[:2] for row in told[:3]] == [["V2", "fail"], ["failed:", "b"], ["V3", "missing"]]
    assert told[3] == "section F: 94 pass, 0 fail, 0 missing of 94"


def run(folder: Path, tests: str, *options: str) -> subprocess.CompletedProcess[str]:
    """pytest on a file of its own, with our plugin and no other."""
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = acceptance\naddopts = --strict-markers\n")
    (folder / "test_it.py").write_text(f"import pytest\n{tests}")
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.acceptance", "-c", str(folder / "pytest.ini")]
    command += ["-q", "-p", "no:cacheprovider", *options, str(folder / "test_it.py")]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    return subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False)


def test_a_number_that_no_line_has_ends_the_run_at_collection(tmp_path: Path) -> None:
    ran = run(tmp_path, "@pytest.mark.acceptance('V12', 'V108')\ndef test_one(): pass\n")
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert "test_it.py::test_one: reference-apis.md has no line V108" in ran.stderr


TESTS = """
@pytest.fixture
def broken():
    yield
    raise OSError
@pytest.mark.acceptance("V1")
def test_passes(): pass
@pytest.mark.acceptance("V2")
@pytest.mark.parametrize("value", [0, 1])
def test_fails_once(value): assert value
@pytest.mark.acceptance("V3")
def test_cannot_be_cleared_up(broken): pass
@pytest.mark.acceptance("V4")
@pytest.mark.skip
def test_is_skipped(): pass
def test_shows_no_line(): raise RuntimeError("must not run")
"""


def told_of(results: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What is printed of a run's results."""
    command = [sys.executable, "-m", "tests.support.acceptance", str(results), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_run_tells_what_passed_and_the_table_fails_if_a_line_did(tmp_path: Path) -> None:
    results = tmp_path / "results"
    ran = run(tmp_path, TESTS, f"--acceptance={results}", "--acceptance-only")
    assert "must not run" not in ran.stdout
    made = told_of(results)
    assert made.returncode == 1
    assert "section V: 1 pass, 3 fail, 103 missing of 107" in made.stdout
    assert "test_it.py::test_fails_once[0]" in made.stdout


def test_where_all_tests_ran_a_line_that_none_shows_is_a_failure(tmp_path: Path) -> None:
    results = tmp_path / "results"
    ran = run(
        tmp_path,
        "@pytest.mark.acceptance('V1')\ndef test_one(): pass\ndef test_two(): pass\n",
        f"--acceptance={results}",
    )
    assert "2 passed" in ran.stdout
    assert (told_of(results).returncode, told_of(results, "--counts").returncode) == (0, 1)


def test_a_suite_of_which_no_test_shows_a_line_is_no_failure(tmp_path: Path) -> None:
    ran = run(tmp_path, "def test_one(): assert False\n", "--acceptance-only")
    assert ran.returncode == pytest.ExitCode.OK, ran.stdout
