"""The job object of F: every attribute in every answer. Pure."""

from dataclasses import dataclass
from typing import Any, Final

from videofleet_api.phases import Phase
from videofleet_api.videojob import Statistics, VideoJobStatus
from videofleet_gateway.dialects.f.wanted import Wanted
from videofleet_gateway.jobs.job import read_time, write_time

_STARTS: Final = frozenset({Phase.STARTING})


@dataclass(frozen=True)
class Links:
    """Where a stream can be watched; empty while no worker has it."""

    restream: str = ""
    direct: str = ""
    shots: str = ""


def job_document(
    identifier: str, version: int, wanted: Wanted, status: VideoJobStatus, links: Links
) -> dict[str, object]:
    """The whole object. `version`: the generation of the VideoJob, which counts changes of its spec."""
    return {
        "id": identifier,
        "enabled": wanted.enabled,
        "stream_url": wanted.stream_url,
        "labels": dict(wanted.labels),
        "router_url": wanted.router_url,
        "router_events_url": wanted.router_events_url,
        "single_pass": wanted.single_pass,
        "stream_settings": wanted.stream_settings,
        "stream_settings_gpu": wanted.stream_settings_gpu,
        "status": status.phase.value,
        "status_msg": status.message or "",
        "statistic": statistic(status),
        "restream_url": links.restream,
        "restream_direct_url": links.direct,
        "shots_url": links.shots,
        "worker_id": status.worker.id if status.worker else "",
        "version": version,
    }


def statistic(status: VideoJobStatus) -> dict[str, Any]:
    """How far a job is. Counters are those of the current run, as fresh as the status of its VideoJob."""
    counted = status.statistics or Statistics()
    posted, not_posted = counted.objects_posted or 0, counted.objects_not_posted or 0
    return {
        "processed_duration": _duration(counted, status),
        "objects_posted": posted,
        "faces_posted": posted,
        "objects_not_posted": not_posted,
        "faces_not_posted": not_posted,
        "processing_fps": counted.processed_fps or 0.0,
        "frames_processed": counted.processed_frames,
        "frames_dropped": sum(counted.dropped_frames.values()),
        "job_start_time": _started(status),
        "job_starts": counted.restarts + 1 if status.epoch else 0,
    }


def _duration(counted: Statistics, status: VideoJobStatus) -> float:
    """Seconds of video that are through; where the source's rate is not known, those between two frames."""
    if counted.source_fps:
        return round(counted.decoded_frames / counted.source_fps, 3)
    if status.first_frame_time is None or status.last_frame_time is None:
        return 0.0
    span = read_time(status.last_frame_time) - read_time(status.first_frame_time)
    return max(0.0, round(span.total_seconds(), 3))


def _started(status: VideoJobStatus) -> str | None:
    """When the current, or else the last, attempt was begun; RFC 3339. None before the first one."""
    begun = [change.time for change in status.history or () if change.to in _STARTS]
    time = begun[-1] if begun else status.first_frame_time
    return None if time is None else write_time(read_time(time))
