"""The operator's own figures."""

from prometheus_client import generate_latest

from videofleet_api.workerpool import SlotCounts, WorkerCounts
from videofleet_kube.operations import Result
from videofleet_kube.writes import WriteCounters
from videofleet_operator.metrics import Metrics, PoolFigures


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


def test_the_figures_of_a_pool_end_with_it() -> None:
    metrics = Metrics()
    pools = {
        ("video", "gpu"): PoolFigures(
            WorkerCounts(desired=3, ready=2, failed=1), SlotCounts(total=32, used=20), waiting=5
        )
    }
    metrics.follow_pools(lambda: pools)

    def sample(name: str, state: str) -> float | None:
        return metrics.registry.get_sample_value(name, {"namespace": "video", "pool": "gpu", "state": state})

    workers = {state: sample("videofleet_pool_workers", state) for state in ("desired", "ready", "failed")}
    assert workers == {"desired": 3, "ready": 2, "failed": 1}
    slots = {state: sample("videofleet_pool_slots", state) for state in ("total", "used", "waiting")}
    assert slots == {"total": 32, "used": 20, "waiting": 5}
    assert sample("videofleet_pool_slots", "found") is None, "no worker has said how many it holds"
    assert b"videofleet_pool_slots" in generate_latest(metrics.registry)
    pools.clear()
    assert sample("videofleet_pool_slots", "waiting") is None
