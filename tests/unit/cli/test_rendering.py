"""What people and scripts read."""

import datetime
from typing import Any

import pytest
from rich.console import Console

from kubectl_videojob.commands.explain import show
from kubectl_videojob.commands.probe import show as show_probe
from kubectl_videojob.commands.tail import Lines, progress_words
from kubectl_videojob.commands.top import jobs_table, nodes_table, pools_table, queue_table
from kubectl_videojob.console import since, span
from kubectl_videojob.following import Change
from videofleet_api.codes import ErrorCode
from videofleet_api.explain import (
    Cause,
    Explanation,
    JobLoad,
    LicenceOutlook,
    PoolLoad,
    PoolOutlook,
    Queue,
    QueuedJob,
    Top,
    WorkerLoad,
)
from videofleet_api.phases import Phase
from videofleet_api.probe import ProbeAnswer, ProbeReport

NOW = datetime.datetime(2030, 1, 1, 12, 0, 0, tzinfo=datetime.UTC)
FIGURES = {"slots_used": 3, "slots_total": 8, "jobs": 3, "fps": 37.25, "dropped": 4, "restarts": 1}


def printed(*what: Any) -> list[str]:
    console = Console(width=200, color_system=None, markup=False, highlight=False)
    with console.capture() as capture:
        for each in what:
            console.print(each)
    return [line.rstrip() for line in capture.get().splitlines()]


def explained(status: dict[str, Any], found: Explanation | None) -> list[str]:
    console = Console(width=200, color_system=None, markup=False, highlight=False)
    with console.capture() as capture:
        show(console, {"metadata": {"name": "camera"}, "status": status}, found, NOW)
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (192, "3m12s"), (3600, "1h"), (18180, "5h3m"), (187200, "2d4h")],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_ages() -> None:
    assert since("2030-01-01T11:59:18Z", NOW) == "42s"
    assert since(None, NOW) == since("yesterday", NOW) == ""


def test_a_job_that_waits() -> None:
    found = Explanation(
        namespace="site",
        name="camera",
        phase=Phase.AWAITING,
        waiting=True,
        causes=[
            Cause(reason="WorkersFull", count=2, message="2 workers full"),
            Cause(reason="NoMatchingPool", count=1, message="1 pool lacks label site=berlin"),
        ],
        pools=[
            PoolOutlook(pool="site/default", workers=3, held_back={"full": 2}, slots_used=32, slots_total=32),
            PoolOutlook(pool="site/other", refusal="lacks label site=berlin"),
        ],
        licence=LicenceOutlook(used=50, limit=50),
        position=3,
        queue=17,
        summary="2 workers full, 1 pool lacks label site=berlin; position 3 of 17",
    )
    status = {"phase": "AWAITING", "reason": "WorkersFull", "message": "old counts", "since": "2030-01-01T11:56:48Z"}
    assert explained(status, found) == [
        "camera  AWAITING  WorkersFull  since 3m12s",
        "  2 workers full, 1 pool lacks label site=berlin; position 3 of 17",
        "",
        "What holds it back",
        "  REASON           HOW MUCH",
        "  WorkersFull      2 workers full",
        "  NoMatchingPool   1 pool lacks label site=berlin",
        "",
        "Pools",
        "  POOL           TAKES IT                      WORKERS      SLOTS",
        "  site/default   yes                           3 (2 full)   32 of 32 used",
        "  site/other     no, lacks label site=berlin   0            0 of 0 used",
    ]


def test_a_job_that_failed_says_what_happened_and_when_it_is_tried_again() -> None:
    status = {
        "phase": "NOT_STARTED",
        "reason": "SourceNetwork",
        "message": "no connection: connection refused",
        "attempt": 4,
        "nextRetryTime": "2030-01-01T12:00:12Z",
        "lastError": {"code": "NETWORK", "message": "connection refused", "time": "2030-01-01T11:59:58Z"},
    }
    assert [" ".join(line.split()) for line in explained(status, None)] == [
        "camera NOT_STARTED SourceNetwork",
        "no connection: connection refused",
        "",
        "Tries",
        "last error NETWORK, 2s ago: connection refused",
        "failed attempts 4",
        "next try in 12s",
    ]


def test_a_source_that_is_not_well_is_told_of() -> None:
    condition = {"type": "SourceHealthy", "status": "False", "reason": "Frozen", "message": "the picture stays"}
    status = {"phase": "INPROGRESS", "conditions": [{**condition, "lastTransitionTime": "2030-01-01T11:59:00Z"}]}
    assert explained(status, None)[1] == "  source Frozen for 1m: the picture stays"
    condition["status"] = "True"
    assert len(explained({"phase": "INPROGRESS", "conditions": [condition]}, None)) == 1


def test_history_is_shown() -> None:
    entry = {"time": "2030-01-01T11:00:00Z", "from": "STARTING", "to": "INPROGRESS", "reason": "Running"}
    lines = explained({"phase": "INPROGRESS", "history": [entry]}, None)
    assert lines[-1].split()[1:] == ["STARTING", "INPROGRESS", "Running"]


def probed(report: ProbeReport) -> list[str]:
    console = Console(width=200, color_system=None, markup=False, highlight=False)
    with console.capture() as capture:
        show_probe(console, ProbeAnswer(worker="w-0", pool="site/default", report=report))
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def test_a_source_that_works() -> None:
    figures = {"announced_fps": 25, "measured_fps": 24.97, "keyframe_interval": 2, "bit_rate": 2_400_000}
    found = ProbeReport(
        works=True, live=True, codec="h264", width=1920, height=1080, audio="aac", first_frame_seconds=0.42, **figures
    )
    assert probed(found) == [
        "video h264, 1920x1080",
        "frames a second 25 announced, 24.97 measured",
        "keyframes every 2 s",
        "bit rate 2400 kbit/s",
        "length live",
        "audio aac",
        "first frame after 0.42 s",
        "seen by w-0 of pool site/default",
    ]


def test_a_source_that_does_not() -> None:
    found = ProbeReport(works=False, code=ErrorCode.AUTH, message="wrong user or password")
    assert probed(found) == [
        "it does not work: AUTH, wrong user or password",
        "seen by w-0 of pool site/default",
    ]
    lost = {"code": ErrorCode.NETWORK, "message": "lost"}
    late = ProbeReport(works=True, frames=9, live=False, codec="hevc", duration=9, **lost)
    assert probed(late)[0] == "it delivered frames and then failed: NETWORK, lost"
    assert "length recorded, 9.0 s" in probed(late)
    assert "keyframes fewer than two came" in probed(late)


class TestTail:
    def test_a_phase_is_told_once(self) -> None:
        lines = Lines()
        status = {"phase": "STARTING", "reason": "Assigned", "since": "2030-01-01T12:00:00Z", "message": "given to w"}
        (line,) = lines.of(Change(job={"status": status}))
        assert line.plain.split()[1:] == ["STARTING", "Assigned", "given", "to", "w"]
        assert list(lines.of(Change(job={"status": {**status, "conditions": []}}))) == []
        assert len(list(lines.of(Change(job={"status": {**status, "reason": "Preparing"}})))) == 1

    def test_progress_is_told_when_it_moved(self) -> None:
        lines = Lines()
        status = {"progress": {"percent": "45 %"}, "statistics": {"processedFps": 17.1}}
        (line,) = lines.of(Change(job={"status": status}))
        assert line.plain.endswith("45 %, 17.1 frames a second")
        assert list(lines.of(Change(job={"status": status}))) == []

    def test_an_event(self) -> None:
        event = {"metadata": {}, "type": "Warning", "reason": "WorkersFull", "message": "2 workers full"}
        (line,) = Lines().of(Change(event=event))
        assert line.plain.split() == ["event", "WorkersFull", "2", "workers", "full"]

    def test_words_of_progress(self) -> None:
        statistics = {
            "processedFps": 5.0,
            "processedFrames": 100,
            "droppedFrames": {"late": 2, "busy": 1, "sampling": 500},
        }
        assert progress_words({"statistics": statistics}) == ("5.0 frames a second", "100 frames", "3 dropped")
        assert progress_words({}) == ()


class TestTables:
    pool = PoolLoad(pool="a/p", workers_ready=1, workers=2, **FIGURES)
    worker = WorkerLoad(name="p-0-0", pool="a/p", node="n1", ready=True, **FIGURES)

    def test_pools(self) -> None:
        assert printed(pools_table(Top(pools=[self.pool], workers=[], jobs=[]))) == [
            "POOL   WORKERS   SLOTS   JOBS   FPS    DROPPED   RESTARTS",
            "a/p    1/2       3/8     3      37.2   4         1",
        ]

    def test_a_node_is_the_sum_of_its_workers(self) -> None:
        silent = self.worker.model_copy(update={"ready": False, "name": "p-1-0"})
        told = printed(nodes_table(Top(pools=[], workers=[self.worker, self.worker, silent], jobs=[])))
        assert told[1].split() == ["n1", "2/3", "9/16", "9", "111.8", "12", "3"]

    def test_jobs(self) -> None:
        running = JobLoad(namespace="a", name="x", phase=Phase.INPROGRESS, worker="p-0-0", fps=12.5, source_fps=25)
        waiting = JobLoad(namespace="a", name="y", phase=Phase.AWAITING)
        rows = [line.split() for line in printed(jobs_table(Top(pools=[], workers=[], jobs=[running, waiting])))[1:]]
        assert rows == [
            ["a", "x", "INPROGRESS", "p-0-0", "12.5", "25.0", "0", "0"],
            ["a", "y", "AWAITING", "-", "-", "-", "0", "0"],
        ]

    def test_the_queue(self) -> None:
        first = QueuedJob(namespace="a", name="x", reason="WorkersFull", message="all full", position=1, priority=5)
        lost = QueuedJob(namespace="a", name="y", reason="NoMatchingPool", message="none")
        rows = [line.split("   ")[0] for line in printed(queue_table(Queue(length=4, jobs=[first, lost])))[1:]]
        assert rows == ["1 of 4", "-"]
