"""Prometheus metrics of the operator."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from videofleet_api.workerpool import SlotCounts, WorkerCounts
from videofleet_kube.follower import WatchCounters
from videofleet_kube.writes import WriteCounters

_WATCH_COUNTERS = ("lists", "watch_events", "reconnects", "silences", "expirations", "projection_failures")


class Metrics:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.leader = Gauge("videofleet_operator_leader", "1 while this replica leads", registry=self.registry)
        self.jobs = Gauge("videofleet_jobs", "VideoJobs by phase", ["phase"], registry=self.registry)
        self.workers = Gauge("videofleet_workers", "Workers by state", ["state"], registry=self.registry)
        self.slots = Gauge("videofleet_slots", "Slots of ready workers", ["state"], registry=self.registry)
        self.licence_streams = Gauge(
            "videofleet_licence_streams",
            "Streams that the licence allows and that hold a slot",
            ["state"],
            registry=self.registry,
        )
        self.transitions = Counter(
            "videofleet_transitions_total",
            "Changes of phase that were written",
            ["to", "reason"],
            registry=self.registry,
        )
        self.plan_seconds = Histogram(
            "videofleet_plan_seconds",
            "Time from snapshot to plan",
            registry=self.registry,
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3),
        )
        self.api_requests = Gauge(
            "videofleet_api_requests", "Requests sent to the API server since the start", registry=self.registry
        )
        self.watch = Gauge(
            "videofleet_watch", "Counters of the watches", ["resource", "counter"], registry=self.registry
        )

    def follow(self, requests: Callable[[], int], watches: Mapping[str, WatchCounters], writes: WriteCounters) -> None:
        """Have these figures read at each scrape. `watches`: by the plural of the kind."""
        self.api_requests.set_function(requests)
        for resource, counters in watches.items():
            for name in _WATCH_COUNTERS:
                self.watch.labels(resource, name).set_function(partial(getattr, counters, name))
        self.registry.register(_Writes(writes))

    def follow_pools(self, figures: Callable[[], Mapping[tuple[str, str], "PoolFigures"]]) -> None:
        """Have the figures of all pools read at each scrape, by namespace and name."""
        self.registry.register(_Pools(figures))


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """What is told of one pool; an autoscaler may go by it."""

    workers: WorkerCounts
    slots: SlotCounts
    waiting: int
    """Slots of the jobs that wait for more workers of it."""


class _Pools(Collector):
    """The figures of the pools that there are."""

    def __init__(self, figures: Callable[[], Mapping[tuple[str, str], PoolFigures]]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The figures as they are now; those of a pool end with it."""
        labels = ["namespace", "pool", "state"]
        workers = GaugeMetricFamily("videofleet_pool_workers", "Workers of a pool by state", labels=labels)
        slots = GaugeMetricFamily("videofleet_pool_slots", "Slots of a pool, and those waited for", labels=labels)
        for (namespace, pool), figures in sorted(self._figures().items()):
            for state, count in figures.workers.model_dump().items():
                workers.add_metric([namespace, pool, state], count)
            counted = figures.slots.model_dump(exclude_none=True)
            for state, count in {**counted, "waiting": figures.waiting}.items():
                slots.add_metric([namespace, pool, state], count)
        yield workers
        yield slots


class _Writes(Collector):
    """The counters of the queue that every write goes through."""

    def __init__(self, counters: WriteCounters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The figures as they are now."""
        ended = CounterMetricFamily("videofleet_writes", "Writes to the API server by outcome", labels=["outcome"])
        for outcome, count in sorted(self._counters.results.items()):
            ended.add_metric([outcome.value], count)
        yield ended
        yield CounterMetricFamily(
            "videofleet_write_requests",
            "Requests that writes took, with those that were sent again",
            value=self._counters.sent,
        )
