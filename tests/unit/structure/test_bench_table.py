"""The table of measurements: what counts as met, and what stands in the page."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

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


DOCS = Path(__file__).parents[3] / "docs"
MEASURES = (
    *("decode, scale, hand over, 768x576", "decode, scale, hand over, 1920x1080"),
    *("file: decode, detect, track; outside inference", "file: decode, detect, track; frames a second"),
    *("a further 1080p stream", "memory (PSS) of a further stream, 1080p", "memory (PSS) of a further stream, 4K"),
    *(
        "1 frame a second of a file, a keyframe a second",
        "1 frame a second of a file, a keyframe every 8 s, no B-frames",
    ),
    "1 frame a second of a file, a keyframe every 8 s, B-frames",
    *("tracker update, 10 objects", "tracker update, 50 objects", "tracker update, 200 objects"),
    *("tracker quality, ByteTrack, HOTA", "tracker quality, ByteTrack, IDF1", "tracker quality, ByteTrack, MOTA"),
    *("arrival to live WebSocket picture", "arrival to live SSE event", "arrival to durable SSE event"),
    *("200 % overload: oldest served frame", "200 % overload: frames served", "200 % overload: least-served stream"),
    *("200 % overload: neither served nor dropped", "200 % overload: frames lost of a file"),
    *("reconnects: frames a second", "reconnects: memory", "camera: assigned to first frame"),
    *("1 of 8 decoders killed: until its next frame", "1 of 8 decoders killed: frames of the other 7"),
    *(
        "1 of 8 decoders killed: ids of the other 7",
        "a camera-day",
        "worker killed: results lost",
        "worker killed: results",
    ),
)
"""What the table of the data plane has to tell, by how its measures begin."""


def measured(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((DOCS / "bench" / f"{name}.json").read_text())["rows"]
    return rows


def test_every_measure_of_the_data_plane_was_taken() -> None:
    told = [row["measure"] for row in measured("data")]
    assert [wanted for wanted in MEASURES if not any(one.startswith(wanted) for one in told)] == []


@pytest.mark.parametrize("name", ["data", "control"])
def test_a_row_that_is_not_met_says_what_limits_it(name: str) -> None:
    missed = [row for row in measured(name) if row["met"] is False]
    silent = [(row["measure"], row["against"]) for row in missed if not row["note"].partition("measured by itself")[0]]
    assert silent == []


def test_both_planes_tell_their_rows_alike() -> None:
    fields = {tuple(row) for name in ("data", "control") for row in measured(name)}
    assert len(fields) == 1
