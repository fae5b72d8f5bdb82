"""The report of one job: what the operator is told about it."""

from collections.abc import Callable
from typing import Any

from videofleet_api.codes import ErrorCode, SourceHealth
from videofleet_api.protocol import TERMINAL, JobProgress, JobReport, JobState
from videofleet_api.redaction import redact_text


class JobReporter:
    """Holds the report of one (uid, epoch) and passes on every change. Nothing changes after a terminal state."""

    def __init__(
        self,
        uid: str,
        epoch: int,
        publish: Callable[[JobReport], None],
        redact: Callable[[str], str] = redact_text,
    ) -> None:
        """`redact`: messages are told as it leaves them."""
        self._report = JobReport(uid=uid, epoch=epoch, state=JobState.PREPARING)
        self._publish = publish
        self._redact = redact

    @property
    def report(self) -> JobReport:
        """The report as it is now."""
        return self._report

    def preparing(self) -> None:
        """The job was taken; the worker gets its own things ready."""
        self._change(state=JobState.PREPARING)

    def applied(self, settings: str) -> None:
        """Frames are analysed with the settings of this digest now."""
        if settings != self._report.settings:
            self._change(settings=settings)

    def opening(self) -> None:
        """Everything on this side is ready, the source is being opened: from here on the source is to blame."""
        self._change(state=JobState.RUNNING)

    def running(self, first_frame_time: float) -> None:
        """A frame was analysed at this Unix time, the first one ever or the first one after a loss."""
        first = {} if self._report.first_frame else {"first_frame": True, "first_frame_time": first_frame_time}
        self._change(state=JobState.RUNNING, code=None, message=None, **first)

    def reconnecting(self, code: ErrorCode, message: str) -> None:
        """The source was lost and is tried again."""
        self._change(state=JobState.RECONNECTING, code=code, message=self._redact(message))

    def health(self, health: SourceHealth, message: str) -> None:
        """How a live source is."""
        self._change(health=health, health_message=self._redact(message))

    def progress(self, progress: JobProgress) -> None:
        """New counters."""
        self._change(**self._counted(progress))

    def ended(self, progress: JobProgress | None = None) -> None:
        """The source came to its end and everything is sealed. A run that ended earlier counts as having begun."""
        self._change(state=JobState.ENDED, first_frame=True, code=None, message=None, **self._counted(progress))

    def failed(self, code: ErrorCode, message: str, progress: JobProgress | None = None) -> None:
        """The job ended with an error."""
        self._change(state=JobState.FAILED, code=code, message=self._redact(message), **self._counted(progress))

    def refused(self, code: ErrorCode, message: str) -> None:
        """The job cannot run as it is written."""
        self._change(state=JobState.REFUSED, code=code, message=self._redact(message))

    def superseded(self) -> None:
        """Another epoch has taken the results over."""
        self._change(state=JobState.SUPERSEDED)

    def _change(self, **update: Any) -> None:
        if self._report.state in TERMINAL:
            return
        self._report = self._report.model_copy(update=update)
        self._publish(self._report)

    def _counted(self, progress: JobProgress | None) -> dict[str, Any]:
        if progress is None:
            return {}
        if progress.outputs_message is not None:
            progress = progress.model_copy(update={"outputs_message": self._redact(progress.outputs_message)})
        return {"progress": progress}
