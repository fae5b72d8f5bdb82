"""One analytics of a running job: its tracker, its log, its pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from videofleet_api.outputs import ArchiveDetail
from videofleet_api.results import FinishReason, Sidecar, StreamInfo, Usage
from videofleet_archive.acquire import Ending
from videofleet_archive.closing import summarise_finished
from videofleet_archive.documents import chunk, terminal_chunk
from videofleet_archive.opening import SeenLog, own_log
from videofleet_archive.writer import Counters, LogWriter, Mark, SealPolicy
from videofleet_worker.analytics.model import Totals
from videofleet_worker.analytics.watch import RegionWatch
from videofleet_worker.outputs.letters import Letter
from videofleet_worker.outputs.outbox import Outbox
from videofleet_worker.outputs.shots import Moment
from videofleet_worker.pipeline.continuation import Continuation, Counts, FrameFacts, dated_alike
from videofleet_worker.pipeline.findings import Findings
from videofleet_worker.pipeline.objects import FoundObject, ObjectFinder, as_worded
from videofleet_worker.pipeline.onlooker import Onlooker, Shown
from videofleet_worker.pipeline.pictures import Pictures, SharedFrame
from videofleet_worker.pipeline.plan import AnalyticsPlan
from videofleet_worker.pipeline.region_results import (
    Document,
    line_counts,
    outlines,
    region_events,
    region_result,
    totals_of,
    watch_objects,
    zone_counts,
)
from videofleet_worker.pipeline.shots import Shots
from videofleet_worker.pipeline.storage import ShotsKept
from videofleet_worker.pipeline.telling import Telling, written
from videofleet_worker.pipeline.told import EveryFrame, Happenings, Seen, Teller
from videofleet_worker.sources.events import SourceInfo


@dataclass(frozen=True, slots=True)
class _Answered:
    """A frame with what the models say of it, without its picture."""

    facts: FrameFacts
    size: tuple[int, int]
    findings: Findings
    counts: Counts


@dataclass(frozen=True, slots=True)
class _Owned:
    """What there is only of a log that is this epoch's own."""

    writer: LogWriter
    place: Continuation
    finder: ObjectFinder
    watch: RegionWatch
    teller: Teller


@dataclass(frozen=True, slots=True)
class _Told:
    """What the log has of a frame."""

    info: StreamInfo
    size: tuple[int, int]
    objects: Sequence[FoundObject]
    regions: Document
    events: Sequence[Document]


class AnalyticsRun:
    """Writes the results of one analytics. First `opened`, then `own`; frames that come between are kept back."""

    def __init__(
        self, plan: AnalyticsPlan, run_id: str, log: SeenLog, pictures: Pictures, shots: Shots, telling: Telling
    ) -> None:
        self.plan = plan
        self.log = log
        self.pictures = pictures
        self.shots = shots
        self.telling = telling
        self.outbox = Outbox(log.view, shots.settled, shots.frames, telling.announce)
        shots.wants_frames = lambda: telling.outlets.wants_frames
        self.onlooker: Onlooker | None = None
        self.processed = log.resume.sidecar.processed_frames if log.resume else 0
        self._run_id = run_id
        self._source: SourceInfo | None = None
        self._policy = SealPolicy(0.0)
        self._kept: list[_Answered] = []
        self._owned: _Owned | None = None

    def opened(self, info: SourceInfo, policy: SealPolicy, kept: ShotsKept) -> None:
        """The source is open: now it is known whether it is live, and how its results are sealed and kept."""
        self._source = info
        self._policy = self._suited(policy)
        self.pictures.live = self.shots.live = info.live
        self.shots.keep, self.shots.frames.most = kept.shots, kept.frame_bytes

    @property
    def kept_since(self) -> float | None:
        """Unix time at which the first frame came of those that are kept back."""
        return self._kept[0].facts.arrival if self._kept else None

    async def own(self, epoch: int, owner: str, counters: Counters, *, beside: bool) -> Ending | None:
        """Make the log this epoch's own and write what was kept back; the ending of a run that is over meanwhile.

        `beside`: another worker has run the job until now, so some frames were seen by both.
        Raises FencedError when a later epoch owns the log, ArchiveError and ArchiveCorruptError as `own_log` does.
        """
        assert self._source is not None, "opened() comes first"
        log = await own_log(self.log.view, epoch, owner, self._policy, counters)
        if log.writer is None:
            return log.ending
        last = log.resume.sidecar if log.resume else None
        await self._open_outbox(log.writer, last)
        self.processed = last.processed_frames if last else 0
        finder = ObjectFinder(self.plan, next_id=(last.highest_track_id if last else 0) + 1)
        place = Continuation(log.resume, self._source, beside=beside)
        owned = _Owned(log.writer, place, finder, _region_watch(self.plan, totals_of(last)), self._teller(last, finder))
        # Meanwhile settings may have changed, and while this is written there may come more.
        log.writer.use(self._policy)
        while self._kept:
            kept, self._kept = self._kept, []
            for answered in _dated_alike(kept) if self._source.live else kept:
                told = self._told(owned, answered)
                if told is not None:
                    await self._log(owned, told, self._letters(told))
        self._owned = owned
        return None

    async def serve_rest(self) -> None:
        """Tell receivers what they do not know yet of a run that is over. Raises ArchiveError."""
        if self.telling.outlets.receivers:
            await self.outbox.open()
            self.telling.outlets.serve(self.outbox)

    async def _open_outbox(self, writer: LogWriter, last: Sidecar | None) -> None:
        """Have receivers told what earlier epochs have left. Raises ArchiveError."""
        if self.telling.outlets.receivers:
            try:
                # Also of what no letter tells yet: how the tracks end that are open when this process dies.
                await self.outbox.announce()
                await self.outbox.open()
                if last is not None and last.unended:
                    self.telling.go_on(last.unended, await self.shots.numbers())
            except BaseException:
                await writer.abandon()
                raise
        writer.notes = self.outbox
        self.telling.outlets.serve(self.outbox)

    def use(self, plan: AnalyticsPlan, policy: SealPolicy) -> None:
        """Go on with other settings from the next frame on. The source must be open."""
        self.plan, self._policy = plan, self._suited(policy)
        if self._owned is not None:
            self._owned.finder.use(plan)
            self._owned.watch.use(plan.watched.zones, plan.watched.lines, _forget_after(plan))
            self._owned.writer.use(self._policy)

    async def add(self, shared: SharedFrame, findings: Findings, counts: Counts) -> None:
        """The next frame and what the models say of it. Raises FencedError when another epoch owns the log."""
        frame = shared.frame
        facts = FrameFacts(frame.index, frame.pts, frame.capture_time, frame.arrival)
        answered = _Answered(facts, (frame.width, frame.height), findings, counts)
        if self._owned is None:
            self._kept.append(answered)
            return
        told = self._told(self._owned, answered)
        await self.pictures.keep_masked(frame.masks)
        await self.shots.keep_masked(frame.masks)
        if told is not None:
            if self.plan.tracker is not None:
                await self.shots.offer(shared, told.objects, told.info, self.plan.tracker.lost_seconds)
            await self._log(self._owned, told, self._letters(told))
            shown = Shown(told.objects, outlines(self.plan.watched, self._owned.watch.totals))
            self.pictures.offer(shared, shown.objects, shown.outlines)
            if self.onlooker is not None:
                await self.onlooker.see(self.plan.name, shared, told.info, shown)

    async def finish(self, reason: FinishReason, counts: Counts, error: tuple[str, str] | None = None) -> None:
        """Write the end of the run and its summary. Raises FencedError when another epoch owns the log."""
        assert self._owned is not None, "own() comes first"
        info = self._owned.place.end(counts)
        last = self._owned.teller.end()
        if last is not None:
            await self._append(self._owned, info, last)
        usage = Usage(processed_frames=self.processed, processing_time_ms=info.elapsed_ms)
        letters = await self._end_tracks(self._owned)
        mark = self._mark(self._owned, info)
        model = None if self.processed else self.plan.worded.model
        terminal = terminal_chunk(self._run_id, info, reason, usage, model)
        await self._owned.writer.finish(terminal, mark, error, written(letters))
        # If the archive was away it is there again by now; the summary says which tracks have a picture.
        await self.shots.finish()
        await self.summarise()
        await self.pictures.finish()

    @property
    def _model(self) -> str:
        """What the summary calls the model."""
        return self.plan.worded.model or self.plan.model.name

    async def summarise(self) -> None:
        """Write what there is beside a finished log: results.json, or the last tracks of a live source."""
        view = self.log.view
        await view.threads.call(summarise_finished, view.threads.store, view.prefix, self._model)

    async def close(self) -> None:
        """Seal what there is; the run is not over. Raises FencedError when another epoch owns the log."""
        if self._owned is None:
            await self.log.view.close()
        else:
            await self._tell_where(self._owned)
            await self._owned.writer.close(written(await self._end_tracks(self._owned)))
            await self.shots.finish()
        await self.pictures.finish()

    async def abandon(self) -> None:
        """End at once, without what is not sealed."""
        if self._owned is not None:
            await self._owned.writer.abandon()
        self.shots.abandon()
        self.pictures.viewers.close()

    def _told(self, owned: _Owned, answered: _Answered) -> _Told | None:
        """What is told of a frame; None for one that an earlier epoch has told about."""
        facts, size = answered.facts, answered.size
        if owned.place.skips(facts.index) or owned.place.has(facts):
            return None
        info = owned.place.advance(facts, answered.counts)
        objects = owned.finder.find(answered.findings, *size, info.pts)
        self.processed += 1
        events = watch_objects(owned.watch, objects, size, info.pts)
        regions = region_result(events, owned.watch.totals) if self.plan.watched else {}
        return _Told(info, size, objects, regions, region_events(events) if self.plan.watched else ())

    async def _append(self, owned: _Owned, info: StreamInfo, result: Document, model: str | None = None) -> None:
        """Add what is told of a frame to the log."""
        await owned.writer.append(chunk(self._run_id, info, [result], model), self._mark(owned, info))

    async def _tell_where(self, owned: _Owned) -> None:
        """Add where the stream is, so that who goes on need not go back."""
        result, info = owned.teller.pending(), owned.place.last
        if result is not None and info is not None:
            await self._append(owned, info, result)

    def _suited(self, policy: SealPolicy) -> SealPolicy:
        """The policy for this analytics: without tracks there are no events to tell."""
        return policy if self.plan.tracker is not None else replace(policy, detail=ArchiveDetail.FRAMES)

    def _teller(self, last: Sidecar | None, finder: ObjectFinder) -> Teller:
        if self._policy.detail is ArchiveDetail.FRAMES:
            return EveryFrame()
        return Happenings(last.tracks if last else (), self.shots.has, finder.followed)

    def _letters(self, told: _Told) -> list[Letter]:
        """What receivers are told of it."""
        if self.plan.tracker is None:
            return []
        moment = Moment(told.info.frame_index, told.info.pts, told.info.capture_time)
        return self.telling.frame(told.objects, told.events, moment, self.plan.tracker.lost_seconds)

    async def _log(self, owned: _Owned, told: _Told, letters: list[Letter]) -> None:
        """Write it into the log, and with it what receivers are told: what of both is durable is the same."""
        writer, words = owned.writer, self.plan.worded
        seen = Seen(told.info, as_worded(told.objects, words), told.size, told.regions)
        if not owned.teller.see(seen, wanted=bool(letters)):
            return
        if writer.discards:
            writer.discard()
            self.telling.outlets.lose(letters, "archive_away", "the archive did not take it")
            return
        await self._append(owned, told.info, owned.teller.document(), words.model if self.processed == 1 else None)
        writer.note(written(letters))

    async def _end_tracks(self, owned: _Owned) -> list[Letter]:
        """End the tracks, with their pictures; what receivers are told of that."""
        if self.telling.outlets.receivers:
            # One that was overtaken has no say in whose pictures lie there.
            await owned.writer.flush()
        await self.shots.end()
        return self.telling.end()

    def _mark(self, owned: _Owned, info: StreamInfo) -> Mark:
        totals = owned.watch.totals
        return Mark(
            info.frame_index,
            info.pts,
            owned.finder.highest_id,
            self.processed,
            info.elapsed_ms,
            zone_counts(totals),
            line_counts(totals),
            owned.place.arrival,
            self._model,
            self.telling.unended(self.shots.of),
            owned.teller.there(),
            info.capture_time,
        )


def _region_watch(plan: AnalyticsPlan, before: Totals) -> RegionWatch:
    return RegionWatch(plan.watched.zones, plan.watched.lines, _forget_after(plan), before)


def _forget_after(plan: AnalyticsPlan) -> float:
    """A track that is not seen for longer has ended."""
    return plan.tracker.lost_seconds if plan.tracker is not None else 0.0


def _dated_alike(kept: Sequence[_Answered]) -> list[_Answered]:
    dated = dated_alike([answered.facts for answered in kept])
    return [replace(answered, facts=facts) for answered, facts in zip(kept, dated, strict=True)]
