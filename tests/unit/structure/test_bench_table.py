"""The table of measurements: what counts as met, and what stands in the page."""

from dataclasses import replace
from pathlib import Path

from tests.bench.control.rows import CONTROL, DATA, Row, Table, between, percentile

FASTER = Row("start", "a Job", [1.0, 2.0, 3.0], [10.0, 10.0], 0.25)
ALONE = Row("writes", "", [0.0], reach=0, unit="writes")
RATE = Row("assignments a second", "a ceiling", [90.0], [100.0], 0.85, "1/s", True)


def test_a_ratio_is_of_medians_and_met_by_the_sense_of_the_measure() -> None:
    assert (FASTER.ratio, FASTER.met) == (0.2, True)
    assert (ALONE.ratio, ALONE.met) == (None, True)
    assert (RATE.ratio, RATE.met) == (0.9, True)
    assert Row("start", "a Job", [3.0], [10.0], 0.25).met is False
    assert Row("told", "a Job", [3.0], [10.0]).met is None


def test_a_row_comes_back_from_its_document() -> None:
    for row in (FASTER, ALONE, RATE, replace(RATE, remark="by 3 %")):
        assert Row.of_document(row.document()).document() == row.document()


def test_rows_that_a_run_did_not_measure_stay(tmp_path: Path) -> None:
    results, page = tmp_path / "bench/control.json", tmp_path / "page.md"
    page.write_text(f"# Page\n{CONTROL.begin}\nold\n{CONTROL.end}\nafter\n")
    Table({"date": "d"}, [FASTER, ALONE]).write(results, page)
    later = Table({"date": "e"}, [Row("writes", "", [5.0], reach=0, unit="writes")])
    later.keep_others(results)
    later.write(results, page)
    text = page.read_text()
    assert text.startswith("# Page\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| start | 2 s (1 to 3) | a Job | 10 s (10 to 10) | 0.2x | ≤ 0.25x | yes |" in text
    assert "| writes | 5 writes | - | - | - | ≤ 0 writes | no |" in text


def test_a_page_without_marks_gets_them_at_its_end() -> None:
    page = between("# Page\n", "text")
    assert page == f"# Page\n\n## Control plane\n{CONTROL.begin}\ntext\n{CONTROL.end}\n"
    with_both = between(page, "more", DATA)
    assert with_both == f"{page}\n## Data plane on CPU\n{DATA.begin}\nmore\n{DATA.end}\n"
    assert between(with_both, "other") == with_both.replace("text", "other")


def test_percentiles_are_values_that_were_seen() -> None:
    assert (percentile([3, 1, 2], 0.5), percentile([3, 1, 2], 0.99)) == (2, 3)
