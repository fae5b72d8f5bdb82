"""Result documents: the chunks of the log, and the summary of a run."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from videofleet_api.outputs import ArchiveDetail


class ResultDocument(BaseModel):
    """An immutable document in snake_case, as clients of the result stream expect it."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore")


class Roi(ResultDocument):
    """A box in whole pixels of the source frame, origin top left."""

    left: int
    top: int
    width: int
    height: int


class Attribute(ResultDocument):
    """What a classification says of an object."""

    label: str
    confidence: float


class Target(ResultDocument):
    """One object in one frame. `track_id` is absent while the tracker has not confirmed it."""

    track_id: int | None = None
    parent_track_id: int | None = None
    """The tracked object inside which this one was found."""
    class_: str = Field(alias="class")
    confidence: float
    roi: Roi
    text: str | None = None
    """What is written there, line by line."""
    text_confidence: float | None = None
    """The mean of its lines."""
    feature: str | None = None
    """A vector that is close to those of other pictures of the same thing: base64 of float32, the lowest byte first."""
    attributes: dict[str, Attribute] | None = None
    """By the name of the classification model."""


class StreamInfo(ResultDocument):
    """Where in the stream a chunk is."""

    frame_index: int
    """Index in the source, never decreasing."""
    total_frames: int | None
    """Frames in the source; None for live streams."""
    decoded_frames: int
    dropped_frames: int
    """Decode failures and frames that sampling left out or that came too late."""
    fps: float
    """Frames a second of the source."""
    elapsed_ms: int
    """Wall-clock time since the stream began."""
    pts: float
    """Seconds of the run, continuous over reconnects."""
    capture_time: float
    """Unix seconds."""


class ZoneCount(ResultDocument):
    """Who was in a zone since the run began, by class: `inside` are those that entered and have not left."""

    name: str
    inside: dict[str, int]
    entered: dict[str, int]
    left: dict[str, int]


class LineCount(ResultDocument):
    """Who crossed a line since the run began, by class and direction."""

    name: str
    left_to_right: dict[str, int]
    right_to_left: dict[str, int]


class Track(ResultDocument):
    """One tracked object over a run."""

    track_id: int
    class_: str = Field(alias="class")
    first_frame: int
    last_frame: int
    frames_seen: int
    best_confidence: float
    feature_digest: str | None = None
    """Length and Euclidean norm of the vector of the frame with the best confidence: dim=128;norm=1.4310."""
    text: str | None = None
    """The reading with the most confidence in all."""
    best_shot: str | None = None
    """Its best picture, as a path from the folder of the results on."""


class TrackRecord(Track):
    """A track on its own, away from the frames that show it."""

    first_time: float
    last_time: float
    """Unix seconds at which it was captured first and last."""
    roi: Roi
    """Where it was in the frame with the best confidence."""
    zones: list[str] | None = None
    """Those it has entered."""
    lines: list[str] | None = None
    """Those it has crossed."""
    interrupted: bool = False
    """It was there when its worker was lost or gave the job away; nothing is known of it since."""


class FiledTrack(TrackRecord):
    """A track that has ended, as it lies in `tracks/<hour>.ndjson`."""

    offset: int
    """The id of the event of the log that tells its end."""


class ObjectEvent(ResultDocument):
    """What an object did in this frame: entered a zone, left it, has stayed in it for `minDwell`, or crossed a line.

    Where the log tells events and not frames, also that its track began or ended; what ended is told by `track`.
    """

    kind: Literal["zone_enter", "zone_leave", "zone_dwell", "line_cross", "track_begin", "track_end"]
    zone: str | None = None
    line: str | None = None
    track_id: int
    class_: str = Field(alias="class")
    seconds: float | None = None
    """Of the stay, where it left or stays."""
    lost: bool = False
    """It left because it is seen no more."""
    direction: Literal["leftToRight", "rightToLeft"] | None = None
    track: TrackRecord | None = None


class Result(ResultDocument):
    """The objects of one input. Where the job has zones or lines also what happened there, and all counts.

    Where the log tells events and not frames, the objects are those that something happened to.
    """

    index: int = 0
    targets: list[Target]
    events: list[ObjectEvent] | None = None
    zones: list[ZoneCount] | None = None
    lines: list[LineCount] | None = None


class Delta(ResultDocument):
    """What a chunk adds."""

    results: list[Result]


class Usage(ResultDocument):
    """What a run took."""

    processed_frames: int
    processing_time_ms: int


FinishReason = Literal["stop", "max_frames", "error", "cancelled"]


class Chunk(ResultDocument):
    """One frame of results, or the end of a run. `model` is told in the first one, where the job has a word for it."""

    id: str
    object: Literal["mm.pipeline.chunk"] = "mm.pipeline.chunk"
    model: str | None = None
    stream_info: StreamInfo
    delta: Delta
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


class RunResult(ResultDocument):
    """`results.json` of a finished run."""

    id: str
    object: Literal["mm.pipeline.result"] = "mm.pipeline.result"
    model: str
    finish_reason: FinishReason
    usage: Usage
    tracks: list[Track]
    zones: list[ZoneCount] | None = None
    lines: list[LineCount] | None = None
    """Where the job has zones or lines: what was counted."""


class Sidecar(ResultDocument):
    """Written before each segment of the log: where a next epoch goes on."""

    epoch: int
    offset: int
    """Offset in the log at which the segment begins."""
    frame_index: int
    """Last frame in the segment."""
    pts: float
    highest_track_id: int
    processed_frames: int
    elapsed_ms: int
    arrival: float | None = None
    """Unix time at which the last frame of a live source came: what workers agree on, however each of them dates it."""
    zones: tuple[ZoneCount, ...] = ()
    lines: tuple[LineCount, ...] = ()
    model: str = ""
    """What results.json calls the model."""
    unended: tuple[dict[str, Any], ...] = ()
    """What receivers are to be told of the tracks that are there, should nothing more be seen of them."""
    detail: ArchiveDetail = ArchiveDetail.FRAMES
    """What the log tells."""
    tracks: tuple[TrackRecord, ...] = ()
    """Where the log tells events: the tracks that are there. Whoever writes next tells their end."""
