"""The page of metrics names those that there are, and no others."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
CODE = [ROOT / "worker/videofleet_worker/metrics.py", ROOT / "operator/videofleet_operator/metrics.py"]
_MADE = re.compile(r'\b(Counter|Gauge|Histogram)(?:MetricFamily)?\(\s*"(videofleet_\w+)"')
_LISTED = re.compile(r"^\| `(videofleet_\w+)` \|", re.MULTILINE)


def exposed(kind: str, name: str) -> str:
    """As Prometheus sees it."""
    return f"{name.removesuffix('_total')}_total" if kind == "Counter" else name


def test_every_metric_is_on_the_page_once() -> None:
    made = [exposed(*found) for file in CODE for found in _MADE.findall(file.read_text())]
    listed = _LISTED.findall((ROOT / "docs/metrics.md").read_text())
    assert len(made) > 40
    assert sorted(listed) == sorted(made)
