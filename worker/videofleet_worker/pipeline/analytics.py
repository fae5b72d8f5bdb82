"""One analytics of a running job: its tracker, its log, its pictures."""

from videofleet_api.results import FinishReason, StreamInfo, Usage
from videofleet_worker.archive.opening import OpenedLog
from videofleet_worker.archive.results import write_results
from videofleet_worker.archive.writer import LogWriter, Mark, SealPolicy
from videofleet_worker.models.detections import Detections
from videofleet_worker.pipeline.chunks import frame_chunk, terminal_chunk
from videofleet_worker.pipeline.continuation import Continuation, Counts, FrameFacts
from videofleet_worker.pipeline.objects import ObjectFinder
from videofleet_worker.pipeline.pictures import Pictures, SharedFrame
from videofleet_worker.pipeline.plan import AnalyticsPlan
from videofleet_worker.sources.events import SourceInfo


class AnalyticsRun:
    """Writes the results of one analytics. The log must have a writer; `opened` comes before the first frame."""

    def __init__(self, plan: AnalyticsPlan, run_id: str, log: OpenedLog, writer: LogWriter, pictures: Pictures) -> None:
        self.plan = plan
        self.log = log
        self.pictures = pictures
        self._run_id = run_id
        self._writer = writer
        self._place: Continuation | None = None
        sidecar = log.resume.sidecar if log.resume else None
        self.processed = sidecar.processed_frames if sidecar else 0
        self._finder = ObjectFinder(plan, next_id=(sidecar.highest_track_id if sidecar else 0) + 1)

    def opened(self, info: SourceInfo, policy: SealPolicy) -> None:
        """The source is open: now it is known whether it is live."""
        self._place = Continuation(self.log.resume, info)
        self._writer.use(policy)
        self.pictures.live = info.live

    async def add(self, shared: SharedFrame, detections: Detections, counts: Counts) -> None:
        """The next frame and the model's answer. Raises FencedError when another epoch owns the log."""
        frame, place = shared.frame, self._opened_place()
        if place.skips(frame.index):
            return
        info = place.advance(FrameFacts(frame.index, frame.pts, frame.capture_time), counts)
        size = (frame.width, frame.height)
        objects = self._finder.find(detections, *size, info.pts)
        self.processed += 1
        await self._writer.append(frame_chunk(self._run_id, info, objects, size), self._mark(info))
        self.pictures.offer(shared, objects)

    async def finish(self, reason: FinishReason, counts: Counts, error: tuple[str, str] | None = None) -> None:
        """Write the end of the run and its summary. Raises FencedError when another epoch owns the log."""
        place = self._opened_place()
        info = place.end(counts)
        usage = Usage(processed_frames=self.processed, processing_time_ms=info.elapsed_ms)
        await self._writer.finish(terminal_chunk(self._run_id, info, reason, usage), self._mark(info), error)
        await self.summarise()
        await self.pictures.finish()

    async def summarise(self) -> None:
        """Write results.json from the finished log."""
        view = self.log.view
        await view.threads.call(write_results, view.threads.store, view.prefix, self.plan.model.name)

    async def close(self) -> None:
        """Seal what there is; the run is not over. Raises FencedError when another epoch owns the log."""
        await self._writer.close()
        await self.pictures.finish()

    async def abandon(self) -> None:
        """End at once, without what is not sealed."""
        await self._writer.abandon()
        self.pictures.viewers.close()

    def _opened_place(self) -> Continuation:
        assert self._place is not None, "opened() comes first"
        return self._place

    def _mark(self, info: StreamInfo) -> Mark:
        return Mark(info.frame_index, info.pts, self._finder.highest_id, self.processed, info.elapsed_ms)
