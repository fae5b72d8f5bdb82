"""What Prometheus reads: taken from the parts that count, at the moment it asks. No label holds an address."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from videofleet_api.codes import SourceHealth
from videofleet_api.protocol import JobState
from videofleet_worker.device.gauges import GpuGauges, read_gauges
from videofleet_worker.inference import Inference
from videofleet_worker.models.engines import Engines
from videofleet_worker.models.providers import ProviderChoice
from videofleet_worker.pipeline.leftovers import Leftover, Leftovers
from videofleet_worker.sources.errors import Lost
from videofleet_worker.supervisor import Running, Supervisor

_JOB = ("uid", "namespace", "name")


@dataclass(frozen=True)
class Measured:
    """What the metrics are about."""

    supervisor: Supervisor
    inference: Inference
    capacity: int
    leftovers: Leftovers


class WorkerCollector(Collector):
    """Streams, inference, archive and the execution provider."""

    def __init__(self, measured: Measured, gpus: Callable[[], Sequence[GpuGauges]] = read_gauges) -> None:
        self._measured = measured
        self._gpus = gpus

    def collect(self) -> Iterator[Metric]:
        """All families."""
        running = self._measured.supervisor.running()
        yield _provider(self._measured.inference.provider)
        yield GaugeMetricFamily("videofleet_worker_capacity", "Slots offered.", value=self._measured.capacity)
        hint = self._measured.inference.hint
        if hint is not None:
            yield GaugeMetricFamily("videofleet_worker_capacity_found", "Slots it finds it has.", value=hint.slots)
        yield _streams(running)
        yield from _frames(running)
        yield from _decoding(running)
        yield _health(running)
        yield from _capture(running)
        yield from _archive(running)
        yield from _outputs(running, self._measured.leftovers)
        yield from _inference(self._measured.inference.engines)
        yield from _gpus(self._gpus())


def process_registry() -> CollectorRegistry:
    """A registry with what Prometheus knows of any Python process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _provider(choice: ProviderChoice) -> Metric:
    family = GaugeMetricFamily(
        "videofleet_execution_provider_info",
        "What inference runs on, and why not on what was asked for.",
        labels=("provider", "fallback_reason"),
    )
    family.add_metric((choice.name, choice.fallback_reason or ""), 1)
    return family


def _streams(running: Iterable[Running]) -> Metric:
    family = GaugeMetricFamily("videofleet_streams", "Assigned jobs by state.", labels=("state",))
    found = Counter(one.reporter.report.state for one in running)
    for state in JobState:
        family.add_metric((state.value,), found[state])
    return family


def _frames(running: Iterable[Running]) -> Iterator[Metric]:
    received = CounterMetricFamily("videofleet_source_bytes", "Bytes of coded video received.", labels=_JOB)
    decoded = CounterMetricFamily("videofleet_frames_decoded", "Frames decoded.", labels=_JOB)
    passed = CounterMetricFamily(
        "videofleet_frames_passed", "Frames not decoded, since none that is analysed needs them.", labels=_JOB
    )
    processed = CounterMetricFamily("videofleet_frames_processed", "Frames analysed.", labels=_JOB)
    dropped = CounterMetricFamily("videofleet_frames_dropped", "Frames not analysed.", labels=(*_JOB, "cause"))
    reconnects = CounterMetricFamily("videofleet_source_reconnects", "Sources reconnected.", labels=_JOB)
    viewers = GaugeMetricFamily("videofleet_live_viewers", "Viewers of annotated pictures.", labels=_JOB)
    direct = GaugeMetricFamily("videofleet_direct_viewers", "Viewers of the source as it is.", labels=_JOB)
    missed = CounterMetricFamily("videofleet_direct_missed", "Pictures that slow ones of them missed.", labels=_JOB)
    for one in running:
        job, run = _job(one), one.run
        counters = run.source.counters if run.source else None
        received.add_metric(job, counters.received_bytes if counters else 0)
        decoded.add_metric(job, counters.decoded_frames if counters else 0)
        passed.add_metric(job, counters.passed_frames if counters else 0)
        processed.add_metric(job, run.processed)
        reconnects.add_metric(job, counters.reconnects if counters else 0)
        viewers.add_metric(job, sum(len(pictures.viewers) for pictures in run.logs.pictures.values()))
        direct.add_metric(job, len(run.source.direct) if run.source else 0)
        missed.add_metric(job, run.source.direct.missed if run.source else 0)
        for cause, count in (counters.dropped if counters else {}).items():
            dropped.add_metric((*job, cause), count)
    yield from (received, decoded, passed, processed, dropped, reconnects, viewers, direct, missed)


def _decoding(running: Iterable[Running]) -> Iterator[Metric]:
    strategy = GaugeMetricFamily(
        "videofleet_decode_strategy_info",
        "What is decoded: all frames, those needed for the ones that are analysed, or keyframes.",
        labels=(*_JOB, "strategy"),
    )
    seeks = CounterMetricFamily("videofleet_source_seeks", "Parts of files gone past unread.", labels=_JOB)
    lost = CounterMetricFamily(
        "videofleet_decoders_lost", "Decoders that crashed, hung, or took too much memory.", labels=(*_JOB, "how")
    )
    for one in running:
        counters = one.run.source.counters if one.run.source else None
        if counters is not None and counters.strategy is not None:
            strategy.add_metric((*_job(one), counters.strategy), 1)
        seeks.add_metric(_job(one), counters.seeks if counters else 0)
        for how in Lost:
            lost.add_metric((*_job(one), how.value), counters.decoders_lost[how] if counters else 0)
    yield from (strategy, seeks, lost)


def _health(running: Iterable[Running]) -> Metric:
    family = GaugeMetricFamily(
        "videofleet_source_healthy", "1 for a live source whose frames are well.", labels=(*_JOB, "reason")
    )
    for one in running:
        if one.run.is_live and one.run.source is not None:
            state = one.run.source.health.state
            family.add_metric((*_job(one), state.value), state is SourceHealth.HEALTHY)
    return family


def _capture(running: Iterable[Running]) -> Iterator[Metric]:
    clock = GaugeMetricFamily(
        "videofleet_capture_clock_info",
        "What frames of a live source are dated by: its clock, or their arrival, as where that is implausible.",
        labels=(*_JOB, "clock"),
    )
    delay = GaugeMetricFamily(
        "videofleet_capture_delay_seconds", "From capture, by the camera's clock, to arrival.", labels=_JOB
    )
    for one in running:
        if one.run.is_live and one.run.source is not None:
            counters = one.run.source.counters
            clock.add_metric((*_job(one), counters.clock), 1)
            if counters.clock != "arrival":
                delay.add_metric(_job(one), counters.delay)
    yield from (clock, delay)


def _archive(running: Iterable[Running]) -> Iterator[Metric]:
    size = CounterMetricFamily("videofleet_archive_bytes", "Bytes of results stored.", labels=_JOB)
    errors = CounterMetricFamily("videofleet_archive_errors", "Calls of the archive that failed.", labels=_JOB)
    lost = CounterMetricFamily("videofleet_results_lost", "Results dropped because the archive was away.", labels=_JOB)
    shots = CounterMetricFamily("videofleet_shots_lost", "Best shots that the archive did not take.", labels=_JOB)
    for one in running:
        shots.add_metric(_job(one), sum(each.lost for each in one.run.logs.shots.values()))
        counters = one.run.counters
        size.add_metric(_job(one), counters.archived_bytes)
        errors.add_metric(_job(one), counters.archive_errors)
        lost.add_metric(_job(one), counters.lost_results)
    yield from (size, errors, lost, shots)


def _outputs(running: Iterable[Running], leftovers: Iterable[Leftover]) -> Iterator[Metric]:
    labels = (*_JOB, "output")
    posted = CounterMetricFamily("videofleet_output_posted", "Posts that receivers have taken.", labels=labels)
    lost = CounterMetricFamily("videofleet_output_lost", "Posts that were given up.", labels=(*labels, "cause"))
    bare = CounterMetricFamily(
        "videofleet_output_without_frame", "Best shots posted without the frame that they come from.", labels=labels
    )
    waiting = GaugeMetricFamily("videofleet_output_queue", "Posts that wait now.", labels=labels)
    lag = GaugeMetricFamily("videofleet_output_lag_seconds", "Age of the oldest post that waits.", labels=labels)
    # What is left of a former run of a job that runs here again counts with it no more.
    told = {one.entry.uid: (one.entry, one.outlets) for one in leftovers}
    told |= {one.job.uid: (one.job.entry, one.run.outlets) for one in running}
    for entry, outlets in told.values():
        job = entry.uid, entry.namespace, entry.name
        for name, receiver in outlets.receivers.items():
            posted.add_metric((*job, name), receiver.outlet.posted)
            bare.add_metric((*job, name), receiver.outlet.without_frame)
            waiting.add_metric((*job, name), outlets.waiting(name))
            lag.add_metric((*job, name), outlets.lag(name))
            for cause, count in receiver.outlet.lost.items():
                lost.add_metric((*job, name, cause), count)
    yield from (posted, lost, bare, waiting, lag)


def _inference(engines: Engines) -> Iterator[Metric]:
    labels = ("model",)
    seconds = CounterMetricFamily("videofleet_inference_seconds", "Seconds in the model's session.", labels=labels)
    waiting = CounterMetricFamily("videofleet_inference_wait_seconds", "Seconds that images waited.", labels=labels)
    images = CounterMetricFamily("videofleet_inference_images", "Images inferred.", labels=labels)
    batches = CounterMetricFamily("videofleet_inference_batches", "Batches run.", labels=labels)
    failed = CounterMetricFamily("videofleet_inference_failed_batches", "Batches that failed.", labels=labels)
    size = GaugeMetricFamily("videofleet_inference_batch_size", "Largest batch that pays.", labels=labels)
    queue = GaugeMetricFamily("videofleet_inference_queue", "Images that wait now.", labels=labels)
    for name, engine in engines.items():
        counters = engine.counters
        seconds.add_metric((name,), counters.inference_seconds)
        waiting.add_metric((name,), counters.queue_wait_seconds)
        images.add_metric((name,), counters.images)
        batches.add_metric((name,), counters.batches)
        failed.add_metric((name,), counters.failed_batches)
        size.add_metric((name,), engine.sizes.settled)
        queue.add_metric((name,), engine.waiting)
    yield from (seconds, waiting, images, batches, failed, size, queue)


def _gpus(gauges: Iterable[GpuGauges]) -> Iterator[Metric]:
    labels = ("gpu", "name")
    busy = GaugeMetricFamily("videofleet_gpu_utilisation", "Share of time in which kernels ran.", labels=labels)
    decoder = GaugeMetricFamily("videofleet_gpu_decoder_utilisation", "Share of time of NVDEC.", labels=labels)
    used = GaugeMetricFamily("videofleet_gpu_memory_used_bytes", "GPU memory in use.", labels=labels)
    total = GaugeMetricFamily("videofleet_gpu_memory_total_bytes", "GPU memory.", labels=labels)
    heat = GaugeMetricFamily("videofleet_gpu_temperature_celsius", "Temperature of the GPU.", labels=labels)
    for one in gauges:
        told = (
            (busy, one.utilisation),
            (decoder, one.decoder),
            (used, one.memory_used),
            (total, one.memory_total),
            (heat, one.temperature),
        )
        for family, value in told:
            if value is not None:
                family.add_metric((str(one.index), one.name), value)
    yield from (busy, decoder, used, total, heat)


def _job(one: Running) -> tuple[str, str, str]:
    entry = one.job.entry
    return entry.uid, entry.namespace, entry.name
