"""The report of one job."""

from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import JobProgress, JobReport, JobState
from videofleet_worker.jobs.reports import JobReporter


def _reporter() -> tuple[JobReporter, list[JobReport]]:
    published: list[JobReport] = []
    return JobReporter("a", 3, published.append), published


def test_a_source_that_is_being_opened_runs_without_a_first_frame() -> None:
    reporter, published = _reporter()
    assert reporter.report.state is JobState.PREPARING
    reporter.opening()
    assert (published[-1].state, published[-1].first_frame) == (JobState.RUNNING, False)


def test_the_first_frame_is_told_once_with_its_time() -> None:
    reporter, _ = _reporter()
    reporter.running(100.0)
    reporter.reconnecting(ErrorCode.NETWORK, "lost")
    reporter.running(200.0)
    assert (reporter.report.first_frame, reporter.report.first_frame_time) == (True, 100.0)


def test_what_was_wrong_is_forgotten_when_frames_come_again() -> None:
    reporter, published = _reporter()
    reporter.running(100.0)
    reporter.reconnecting(ErrorCode.NETWORK, "lost")
    assert (published[-1].state, published[-1].code) == (JobState.RECONNECTING, ErrorCode.NETWORK)
    reporter.running(101.0)
    assert (published[-1].state, published[-1].code, published[-1].message) == (JobState.RUNNING, None, None)


def test_nothing_follows_a_terminal_fact() -> None:
    reporter, published = _reporter()
    reporter.failed(ErrorCode.AUTH, "wrong password")
    told = list(published)
    reporter.running(1.0)
    reporter.progress(JobProgress(processed_frames=5))
    reporter.ended()
    assert published == told
    assert reporter.report.state is JobState.FAILED
