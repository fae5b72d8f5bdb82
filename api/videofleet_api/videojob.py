"""VideoJob: a camera, a file or a clip to analyse."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from videofleet_api.codes import DropCause
from videofleet_api.conditions import Condition
from videofleet_api.model import Document
from videofleet_api.outputs import Outputs
from videofleet_api.phases import Phase
from videofleet_api.regions import Lines, PrivacyMasks, Zones
from videofleet_api.rules import rules
from videofleet_api.schedule import ScheduleWindow
from videofleet_api.source import LIVE_SCHEMES, Range, Source
from videofleet_api.steps import Analytics

LabelMap = Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=64)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class SamplingMode(StrEnum):
    """Which frames are analysed."""

    ALL = "all"
    FPS = "fps"
    KEYFRAME = "keyframe"
    INTERVAL = "interval"


class SamplingDecode(StrEnum):
    """What is decoded for the frames that are analysed."""

    AUTO = "auto"
    ALL = "all"
    KEYFRAMES = "keyframes"


class Sampling(Document):
    """Which frames are analysed."""

    model_config = rules(
        (
            "(self.mode in ['fps', 'interval']) == has(self.value)",
            "value goes with the modes fps (frames a second) and interval (every n-th frame), and only with these",
        ),
        (
            "self.mode != 'interval' || !has(self.value) || double(int(self.value)) == double(self.value)",
            "value must be a whole number for the mode interval",
        ),
        (
            "self.mode in ['fps', 'interval'] || !has(self.decode) || self.decode != 'keyframes'",
            "decode keyframes goes with the modes fps and interval; for every keyframe there is the mode keyframe",
        ),
        # The schema's minimum is cut to a whole number where a whole number is given: it lets a 0 through.
        ("!has(self.speed) || self.speed >= 0.1", "speed must be at least 0.1"),
    )

    mode: SamplingMode = Field(
        SamplingMode.ALL,
        description="all: every frame. fps: so many a second. keyframe: keyframes only. interval: every n-th frame.",
    )
    value: float | None = Field(
        None, gt=0, le=100000, description="Frames a second for fps, n for interval (every n-th frame)."
    )
    decode: SamplingDecode = Field(
        SamplingDecode.AUTO,
        description="What is decoded. auto: what the frames that are analysed need, and these are the same as with "
        "all. all: everything. keyframes: nothing but keyframes, which is cheapest; fps then takes the first keyframe "
        "at or after each due time, which may be late by as much as keyframes are apart.",
    )
    speed: float | None = Field(
        None,
        ge=0.1,
        le=100,
        description="A recorded source is analysed at most so many times as fast as it plays; without it as fast as "
        "possible. A live one comes at its own pace.",
    )


class MatchExpression(Document):
    """One requirement of a label selector."""

    model_config = rules(
        (
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            "values go with the operators In and NotIn, and only with these",
        ),
    )

    key: str = Field(min_length=1, max_length=316, description="Label key.")
    operator: str = Field(
        description="In, NotIn, Exists or DoesNotExist.",
        json_schema_extra={"enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
    )
    values: list[Annotated[str, Field(max_length=256)]] | None = Field(None, max_length=64, description="Values.")


class LabelSelector(Document):
    """metav1.LabelSelector; empty matches everything."""

    match_labels: LabelMap = Field(default_factory=dict, description="Labels that must be there with this value.")
    match_expressions: list[MatchExpression] = Field(
        default_factory=list, max_length=32, description="Further requirements; all must hold."
    )


class Restart(Document):
    """What happens after an end or an error."""

    model_config = rules(
        ("self.delay <= self.maxDelay", "delay must not be larger than maxDelay"),
        # The schema's minimum is cut to a whole number where a whole number is given: it lets a 0 through.
        ("self.delay >= 0.1", "delay must be at least 0.1 seconds"),
    )

    max_attempts: int | None = Field(
        None, ge=1, le=1000000, description="Give up after so many failed attempts in a row; without it never."
    )
    delay: float = Field(1, ge=0.1, le=86400, description="Seconds before the first retry; doubles each time.")
    max_delay: float = Field(300, ge=0.1, le=86400, description="Most seconds between retries.")
    stable_after: float = Field(60, ge=0, le=86400, description="Seconds of running after which attempts count anew.")
    reconnect_window: float = Field(
        30, ge=0, le=86400, description="Seconds for which a worker itself makes up for a lost live source or decoder."
    )
    start_timeout: float = Field(120, ge=1, le=86400, description="Seconds until the first frame must be there.")
    token: str | None = Field(
        None,
        max_length=64,
        description="Another text than before starts the job anew, with a new run, whatever became of the last; for "
        "example the time.",
    )


class StreamSettings(Document):
    """What came along with a job that was made through a reference interface."""

    extra: dict[str, Annotated[str, Field(max_length=8192)]] = Field(
        default_factory=dict,
        max_length=64,
        description="Settings, each as JSON, that the interface shows again as they were given. They have no effect.",
    )


def _own_names(field: str, thing: str) -> tuple[str, str]:
    each = f"self.{field}"
    return (
        f"!has({each}) || {each}.all(a, {each}.exists_one(b, b.name == a.name))",
        f"every {thing} needs a name of its own",
    )


class VideoJobSpec(Document):
    """What to analyse, and how."""

    model_config = rules(
        (
            "self.analytics.all(a, self.analytics.exists_one(b, b.name == a.name))",
            "every analytics needs a name of its own",
        ),
        _own_names("zones", "zone"),
        _own_names("lines", "line"),
        (
            "(!has(self.zones) || self.zones.size() == 0) && (!has(self.lines) || self.lines.size() == 0) || "
            "self.analytics.exists(a, a.steps.exists(s, s.model == 'track'))",
            "zones and lines need an analytics with a track step: only what is followed can enter, leave or cross",
        ),
        (
            "!has(self.range) || (!has(self.source.kind) || self.source.kind != 'live') && "
            f"(!has(self.source.url) || !self.source.url.matches('^({'|'.join(LIVE_SCHEMES)})://'))",
            "range is for recorded sources: a live one has neither a beginning nor an end",
        ),
        (
            "!has(self.outputs) || !has(self.outputs.router) && !has(self.outputs.mqtt) && "
            "(!has(self.outputs.webhooks) || self.outputs.webhooks.size() == 0) || "
            "self.analytics.exists(a, a.steps.exists(s, s.model == 'track'))",
            "outputs.router, webhooks and mqtt need an analytics with a track step: what they tell is about tracks",
        ),
        (
            "!has(self.outputs) || !has(self.outputs.archive) || !has(self.outputs.archive.detail) || "
            "self.outputs.archive.detail == 'frames' || "
            "self.analytics.exists(a, a.steps.exists(s, s.model == 'track'))",
            "outputs.archive.detail tracks and events need an analytics with a track step: what they tell is about "
            "tracks",
        ),
    )

    enabled: bool = Field(True, description="false stops the job and keeps it.")
    source: Source = Field(description="Where the video comes from.")
    single_pass: bool = Field(False, description="true: run once, no restart after an end or an error.")
    sampling: Sampling = Field(default_factory=Sampling, description="Which frames are analysed.")
    range: Range | None = Field(None, description="The part of a recorded source that is analysed; without it all.")
    max_frames: int | None = Field(None, ge=1, le=1000000000, description="Stop after so many analysed frames.")
    analytics: list[Analytics] = Field(
        min_length=1, max_length=4, description="What is done with the frames; one decoding serves all."
    )
    zones: Zones = Field(
        default_factory=list,
        description="Areas in which tracked objects are counted: entering, leaving, staying. Changed while the job "
        "runs.",
    )
    lines: Lines = Field(
        default_factory=list,
        description="Lines whose crossings by tracked objects are counted. Changed while the job runs.",
    )
    privacy_masks: PrivacyMasks = Field(
        default_factory=list,
        description="Areas that are hidden before anything is found in the picture or any picture is made. Changed "
        "while the job runs.",
    )
    labels: LabelMap = Field(
        default_factory=dict, description="Free labels; a WorkerPool with jobLabels takes only jobs that carry them."
    )
    worker_selector: LabelSelector | None = Field(
        None, description="Only pools whose labels match; without it any pool."
    )
    priority: int = Field(0, ge=-1000000, le=1000000, description="Higher starts first.")
    slots: int = Field(1, ge=1, le=1024, description="How much of a worker's capacity the job takes.")
    restart: Restart = Field(default_factory=Restart, description="What happens after an end or an error.")
    stream_settings: StreamSettings | None = Field(
        None, description="What a reference interface has to show again, and nothing goes by."
    )
    schedule: list[ScheduleWindow] = Field(
        default_factory=list,
        max_length=32,
        description="Hours in which the job runs; outside all of them it is DISABLED. None: always.",
    )
    outputs: Outputs = Field(default_factory=Outputs, description="Where results go.")
    ttl_seconds_after_finished: int | None = Field(
        None,
        ge=0,
        le=315360000,
        description="Delete the job so many seconds after its single pass or its last attempt is over; "
        "without it never. Results stay.",
    )


class WorkerRef(Document):
    """The worker that a job was given to."""

    name: str = Field(description="Pod name.")
    node: str | None = Field(None, description="Node of the pod.")
    pool: str = Field(description="WorkerPool, as NAMESPACE/NAME.")
    id: str = Field(description="uid of the pod.")
    instance: str | None = Field(None, description="Process instance; random at each start of the worker.")


class ExcludedWorker(Document):
    """A worker that failed the job and is passed over."""

    name: str = Field(description="Pod name.")
    id: str = Field(description="uid of the pod.")
    instance: str = Field(description="Process instance; another one in the same pod is not passed over.")


class MoveRef(Document):
    """Another worker that gets the job ready, to take it over with its first frame."""

    worker: WorkerRef = Field(description="The worker that takes the job over.")
    epoch: int = Field(ge=1, description="The job's epoch from its first frame there on.")
    since: Time = Field(description="When the move began.")


class Progress(Document):
    """How far a recorded source has been analysed."""

    percent: str | None = Field(None, description="Share of the source that is done, for example 45 %.")
    processed_frames: int = Field(0, ge=0, description="Frames analysed.")
    total_frames: int | None = Field(None, ge=0, description="Frames in the source; absent for live sources.")


class Statistics(Document):
    """Counters of the current run, refreshed seldom."""

    source_fps: float | None = Field(None, description="Frames a second of the source.")
    processed_fps: float | None = Field(None, description="Frames a second that are analysed.")
    decoded_frames: int = Field(0, ge=0, description="Frames decoded, or passed over because nothing needs them.")
    processed_frames: int = Field(0, ge=0, description="Frames analysed.")
    dropped_frames: dict[str, int] = Field(
        default_factory=dict, description=f"Frames not analysed, by cause: {', '.join(DropCause)}."
    )
    objects_posted: int | None = Field(None, ge=0, description="Best shots that outputs.router has taken.")
    objects_not_posted: int | None = Field(None, ge=0, description="Best shots that it has not taken.")
    restarts: int = Field(0, ge=0, description="Starts after the first one.")


class LastError(Document):
    """The last error of the job."""

    code: str = Field(description="Error code.")
    message: str = Field(max_length=1024, description="What went wrong, for people.")
    time: Time = Field(description="When.")


class AnalyticsStatus(Document):
    """Results of one analytics."""

    name: str = Field(description="Name of the analytics.")
    results: str = Field(description="Folder of its results in the archive.")


HISTORY_LIMIT: Final = 32
"""Changes of phase that status keeps, the last ones."""
TRANSITION_MESSAGE: Final = 256
"""Characters of a message in them."""


class Transition(Document):
    """One change of phase."""

    sequence: int = Field(ge=0, description="Number of the change, as in transitions.")
    time: Time = Field(description="When.")
    from_: Phase = Field(alias="from", description="The phase before.")
    to: Phase = Field(description="The phase after.")
    reason: str | None = Field(None, description="Why, in one word.")
    message: str | None = Field(None, max_length=TRANSITION_MESSAGE, description="Why, for people.")
    worker: str | None = Field(None, description="Pod of the worker that it came to, or that it left.")


class VideoJobStatus(Document):
    """What videofleet knows about the job. Written by the operator alone."""

    phase: Phase = Field(Phase.AWAITING, description="Where the job is in its life.")
    reason: str | None = Field(None, description="Why, in one word.")
    message: str | None = Field(None, max_length=2048, description="Why, for people.")
    observed_generation: int = Field(0, ge=0, description="Generation of the spec that this is about.")
    source: str | None = Field(None, description="The source's address without credentials.")
    run: int = Field(0, ge=0, description="Pass over the source, counted from 1.")
    epoch: int = Field(0, ge=0, description="Assignment to a worker, counted from 1; never goes back.")
    transitions: int = Field(0, ge=0, description="Changes of phase so far.")
    since: Time | None = Field(None, description="When the phase began.")
    worker: WorkerRef | None = Field(None, description="The worker that runs the job.")
    move: MoveRef | None = Field(None, description="The worker that is about to take the job over.")
    spent_epoch: int | None = Field(None, ge=0, description="Highest epoch of any move; none is given out twice.")
    next_move_time: Time | None = Field(None, description="When a move that came to nothing is tried again.")
    attempt: int = Field(0, ge=0, description="Failed attempts in a row.")
    suspicion: int = Field(0, ge=0, description="Crashes of workers while the job ran there; 30 minutes clear it.")
    excluded_workers: list[ExcludedWorker] | None = Field(
        None, max_length=8, description="Workers that failed the job and are passed over."
    )
    next_retry_time: Time | None = Field(None, description="When the job is tried again.")
    spec_digest: str | None = Field(None, description="Digest of what the worker was given; a change starts anew.")
    run_digest: str | None = Field(None, description="Digest of what is analysed, and how; a change begins a new run.")
    settings_digest: str | None = Field(
        None, description="Digest of the settings that are in force; a change of them is applied to the running stream."
    )
    first_frame_time: Time | None = Field(None, description="When the first frame of this epoch was analysed.")
    last_frame_time: Time | None = Field(
        None, description="When a frame was analysed last, as known when statistics were written last."
    )
    completion_time: Time | None = Field(None, description="When the last run ended.")
    finished: bool | None = Field(None, description="true: a single-pass job is over and will not run again.")
    progress: Progress | None = Field(None, description="How far a recorded source is.")
    statistics: Statistics | None = Field(None, description="Counters, refreshed seldom.")
    last_error: LastError | None = Field(None, description="The last error.")
    analytics: list[AnalyticsStatus] = Field(default_factory=list, description="Where results lie.")
    history: list[Transition] | None = Field(
        None, max_length=HISTORY_LIMIT, description="The last changes of phase, oldest first."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Ready, Reconciling, Stalled, Scheduled, Licensed, Complete, Failed, SourceHealthy; with "
        "receivers of results also OutputsDelivered.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
