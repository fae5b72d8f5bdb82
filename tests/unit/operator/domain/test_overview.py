"""Live figures of pools, workers and jobs."""

from tests.support.domain import assigned, job, pool, record, report, snapshot, worker
from videofleet_api.phases import Phase
from videofleet_operator.domain.overview import top
from videofleet_operator.domain.reports import Counters

RUNNING = Counters(processed_fps=12.5, source_fps=25.0, dropped_frames={"stale": 3, "busy": 1, "sampling": 500})


def test_a_pool_is_the_sum_of_its_workers() -> None:
    busy = worker("a", capacity=4, reports={"j1": report(progress=RUNNING), "j2": report("j2", progress=RUNNING)})
    jobs = [
        job("j1", record(Phase.INPROGRESS, worker=assigned(busy), restarts=2), slots=2),
        job("j2", record(Phase.INPROGRESS, worker=assigned(busy)), namespace="theirs"),
        job("j3"),
    ]
    told = top(snapshot(jobs, [busy, worker("b", connected=False)]), frozenset({"default"}))
    (one,) = told.pools
    assert (one.workers_ready, one.workers, one.jobs) == (1, 2, 2)
    assert (one.slots_used, one.slots_total) == (3, 4), "slots of a worker that does not answer are none"
    assert (one.fps, one.dropped, one.restarts) == (25.0, 8, 2)
    assert [(each.name, each.ready, each.jobs) for each in told.workers] == [("a", True, 2), ("b", False, 0)]
    assert [(each.name, each.worker, each.fps, each.dropped) for each in told.jobs] == [
        ("j1", "a", 12.5, 4),
        ("j3", None, None, 0),
    ]


def test_counters_of_an_older_epoch_do_not_count() -> None:
    busy = worker(reports={"j1": report(epoch=2, progress=RUNNING)})
    told = top(snapshot([job("j1", record(Phase.INPROGRESS))], [busy]), frozenset({"default"}))
    assert told.jobs[0].fps is None


def test_only_namespaces_that_are_asked_for() -> None:
    other = pool("q", "theirs")
    workers = [worker("a"), worker("b", of="theirs/q")]
    told = top(snapshot([job("j1", namespace="theirs")], workers, [pool(), other]), frozenset({"default"}))
    assert [each.pool for each in told.pools] == ["default/p"]
    assert [each.name for each in told.workers] == ["a"]
    assert told.jobs == []
