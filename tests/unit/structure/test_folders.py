"""The part folders stay plain: a package in operator/ would shadow the standard library's module."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("part", ["api", "archive", "cli", "gateway", "kube", "operator", "worker"])
def test_a_part_folder_is_no_package(part: str) -> None:
    assert not (ROOT / part / "__init__.py").exists()


def test_the_standard_operator_module_is_found_with_the_root_first_on_the_path() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import operator; print(operator.itemgetter(1)('ab'))"
    result = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "b"


def test_no_file_is_too_long_to_find_ones_way_in() -> None:
    parts = ("api", "archive", "cli", "gateway", "kube", "operator", "worker", "localcluster", "examples", "tests")
    long = {
        str(path.relative_to(ROOT)): lines
        for part in parts
        for path in (ROOT / part).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert not long
