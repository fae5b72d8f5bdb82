"""The operator's own figures."""

from videofleet_operator.kube.operations import Result
from videofleet_operator.kube.writes import WriteCounters
from videofleet_operator.metrics import Metrics


def test_every_write_of_the_queue_is_counted() -> None:
    metrics, counters = Metrics(), WriteCounters()
    metrics.follow(lambda: 7, {}, counters)
    counters.sent = 3
    counters.results[Result.APPLIED] += 2
    counters.results[Result.FAILED] += 1
    sample = metrics.registry.get_sample_value
    assert sample("videofleet_writes_total", {"outcome": Result.APPLIED.value}) == 2
    assert sample("videofleet_writes_total", {"outcome": Result.FAILED.value}) == 1
    assert sample("videofleet_write_requests_total") == 3
    assert sample("videofleet_api_requests") == 7
    counters.results[Result.APPLIED] += 1
    assert sample("videofleet_writes_total", {"outcome": Result.APPLIED.value}) == 3
