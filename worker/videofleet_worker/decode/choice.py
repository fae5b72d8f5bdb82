"""Which frames of a source are wanted: its part, what was served before, and sampling. Pure."""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from videofleet_api.codes import DropCause
from videofleet_worker.decode.messages import Opened, OpenRequest
from videofleet_worker.decode.part import Part
from videofleet_worker.decode.sampling import Sampler, Sampling
from videofleet_worker.decode.timeline import Timeline

_USUAL_PERIOD = 1 / 25


class Judged(NamedTuple):
    """What was said of a frame: its seconds in the run, whether it is wanted, and whether it follows on a keyframe."""

    pts: float
    wanted: bool
    after_keyframe: bool = False


@dataclass(frozen=True)
class Due:
    """No frame before this one is wanted: by its raw timestamp in seconds, or by its number."""

    stamp: float | None = None
    index: int | None = None


class Choice:
    """Judges frames in the order of display; which of them are decoded makes no difference.

    over: nothing that follows is wanted. dropped: the frames that sampling has left out.
    """

    def __init__(self, request: OpenRequest, info: Opened) -> None:
        self.keyframes_only = request.sampling_mode == "keyframe" or request.sampling_decode == "keyframes"
        self.over = False
        self.dropped: Counter[DropCause] = Counter()
        self._timeline = Timeline(1 / info.fps if info.fps else _USUAL_PERIOD, live=info.live)
        self._part = Part(request.part_start, request.part_end, request.part_unit) if request.part_unit else None
        self._sampler = Sampler(Sampling(request.sampling_mode, request.sampling_value))
        self._resume = request.resume_after_frame
        self._passed_resume = self._resume is None
        self._last_keyframe: int | None = None

    @property
    def part(self) -> Part | None:
        """The part that is wanted; None: all."""
        return self._part

    @property
    def replaces(self) -> bool:
        """Whether the frame after a wanted one that is damaged takes its place."""
        return self._sampler.replaces

    @property
    def takes_everything(self) -> bool:
        """Whether every frame of the source is wanted."""
        return self._sampler.takes_all and self._part is None and self._resume is None

    @property
    def takes_all(self) -> bool:
        """Whether every frame from here on is wanted."""
        return self._sampler.takes_all and self._has_begun and self._passed_resume

    def judge(self, index: int, raw: float | None, arrival: float, *, keyframe: bool) -> Judged:
        """What is to become of the frame that is shown next."""
        pts, after_keyframe = self._timeline.place(raw, arrival), self._last_keyframe == index - 1
        if keyframe:
            self._last_keyframe = index
        return Judged(pts, self._wants(index, pts, keyframe), after_keyframe)

    def _wants(self, index: int, pts: float, keyframe: bool) -> bool:
        if self._part is not None and self._part.begins_after(index, pts):
            return False
        if self._part is not None and self._part.ends_before(index, pts):
            self.over = True
            return False
        wanted = (keyframe or not self.keyframes_only) and self._sampler.wants(index, pts, keyframe)
        self._passed_resume = self._resume is None or index >= self._resume
        if self._resume is not None and index <= self._resume:
            return False
        if not wanted:
            self.dropped[DropCause.SAMPLING] += 1
        return wanted

    def due(self) -> Due | None:
        """Before which frame none needs to be judged; None where that is not known, or the next one may be wanted."""
        if not self._timeline.begun:
            return None
        if not self._has_begun:
            if self._part is None:
                return None
            if self._part.unit == "frames":
                return Due(index=int(self._part.start))
            return self._at(self._part.start)
        if not self._passed_resume:
            return Due(index=self._resume)
        index, pts = self._sampler.next_index, self._sampler.next_pts
        return Due(index=index) if index is not None else None if pts is None else self._at(pts)

    def take_after_all(self) -> None:
        """A frame that was judged and is not wanted takes the place of one that is damaged."""
        self.dropped[DropCause.SAMPLING] -= 1

    def pass_by(self, raw: float | None, arrival: float) -> None:
        """A frame is left out for not being a keyframe."""
        self._timeline.pass_by(raw, arrival)
        self.pass_over(1)

    def pass_over(self, frames: int) -> None:
        """Frames before the due one are left out without having been looked at."""
        if self._has_begun and self._passed_resume:
            self.dropped[DropCause.SAMPLING] += frames

    @property
    def _has_begun(self) -> bool:
        return self._sampler.begun

    def _at(self, pts: float) -> Due | None:
        raw = self._timeline.raw_of(pts)
        return None if raw is None else Due(stamp=raw)
