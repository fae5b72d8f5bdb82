"""What a job's analytics mean on this worker. Pure; everything a user can get wrong in them is refused here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import JobSpec
from videofleet_api.videojob import Analytics, Sampling, SamplingMode, Step, StepParameters
from videofleet_worker.models.classes import class_ids
from videofleet_worker.models.detections import DetectionQuery
from videofleet_worker.models.registry import TRACK_STEP, Model, ModelRegistry, UnknownModelError
from videofleet_worker.tracking.bytetrack import TrackerSettings

_DETECTION_PARAMETERS: Final = ("classes", "confidence", "iou")
_TRACKING_PARAMETERS: Final = ("lost_seconds",)
_PERIODS_UNTIL_LOST: Final = 3


class RefusedError(Exception):
    """The job cannot run as it is written."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class AnalyticsPlan:
    """One analytics: a detection, and tracking where there are `tracker` settings.

    Results have the classes and at least the confidence of `wanted`. The tracker also sees weaker detections, which
    keep a track alive through an occlusion.
    """

    name: str
    model: Model
    wanted: DetectionQuery
    tracker: TrackerSettings | None

    @property
    def weakest(self) -> float:
        """The least confidence that anything here needs."""
        if self.tracker is None:
            return self.wanted.confidence
        return min(self.wanted.confidence, self.tracker.low_score)

    @property
    def inference_key(self) -> tuple[str, float]:
        """`key` of the inference that serves it."""
        return self.model.name, self.wanted.iou


@dataclass(frozen=True)
class Inference:
    """One question to a model that serves one or several analytics."""

    model: Model
    query: DetectionQuery

    @property
    def key(self) -> tuple[str, float]:
        """What makes two analytics share an inference."""
        return self.model.name, self.query.iou


@dataclass(frozen=True)
class Plan:
    """All analytics of a job over one decoding; width and height of `model_size` in pixels.

    `settings` is the digest of the settings that it was made from.
    """

    analytics: tuple[AnalyticsPlan, ...]
    inferences: tuple[Inference, ...]
    model_size: tuple[int, int]
    settings: str = ""

    def named(self, name: str) -> AnalyticsPlan:
        """The analytics of this name; KeyError for another."""
        return {one.name: one for one in self.analytics}[name]


def make_plan(spec: JobSpec, registry: ModelRegistry, settings: str = "") -> Plan:
    """Raises RefusedError, naming the analytics, the value and what would be right."""
    if not spec.analytics:
        raise RefusedError(ErrorCode.BAD_PARAMETER, "analytics is empty: name at least one")
    names = [one.name for one in spec.analytics]
    if len(set(names)) != len(names):
        raise RefusedError(ErrorCode.BAD_PARAMETER, f"analytics must have names of their own, got {', '.join(names)}")
    analytics = tuple(_plan_one(one, registry, spec.sampling) for one in spec.analytics)
    sizes = {(one.model.manifest.input.width, one.model.manifest.input.height) for one in analytics}
    if len(sizes) > 1:
        models = ", ".join(sorted({one.model.name for one in analytics}))
        raise RefusedError(
            ErrorCode.BAD_PARAMETER, f"the models {models} take pictures of different sizes: use a job for each"
        )
    return Plan(analytics, _inferences(analytics), sizes.pop(), settings)


def _plan_one(analytics: Analytics, registry: ModelRegistry, sampling: Sampling) -> AnalyticsPlan:
    where = f"analytics {analytics.name}"
    detection, tracking = _steps(where, analytics.steps)
    try:
        model = registry.detection_model(detection.model)
    except UnknownModelError as error:
        raise RefusedError(ErrorCode.UNKNOWN_MODEL, f"{where}: {error}") from error
    try:
        wanted = _query(model, detection.parameters or StepParameters())
        tracker = _tracker(tracking.parameters or StepParameters(), wanted, sampling) if tracking else None
    except ValueError as error:
        raise RefusedError(ErrorCode.BAD_PARAMETER, f"{where}: {error}") from error
    return AnalyticsPlan(analytics.name, model, wanted, tracker)


def _steps(where: str, steps: Sequence[Step]) -> tuple[Step, Step | None]:
    """The detection and, where there is one, the tracking."""
    detections = [step for step in steps if step.model != TRACK_STEP]
    trackings = [step for step in steps if step.model == TRACK_STEP]
    problem = None
    if not steps or steps[0].model == TRACK_STEP:
        problem = "the first step must be a detection, such as detect; track follows what a step before it found"
    elif len(detections) > 1:
        problem = f"one detection step is possible, got {', '.join(step.model for step in detections)}"
    elif len(trackings) > 1:
        problem = f"track may be named once, got it {len(trackings)} times"
    else:
        problem = _misplaced(detections[0], _TRACKING_PARAMETERS) or (
            _misplaced(trackings[0], _DETECTION_PARAMETERS) if trackings else None
        )
    if problem:
        raise RefusedError(ErrorCode.BAD_PARAMETER, f"{where}: {problem}")
    return detections[0], trackings[0] if trackings else None


def _misplaced(step: Step, foreign: Sequence[str]) -> str | None:
    """A parameter that the step does not act on."""
    for name in foreign:
        if step.parameters is not None and getattr(step.parameters, name) is not None:
            other = "a detection step" if name in _DETECTION_PARAMETERS else f"the step {TRACK_STEP}"
            return f"the step {step.model} takes no parameter {name}; it belongs to {other}"
    return None


def _query(model: Model, parameters: StepParameters) -> DetectionQuery:
    defaults = model.manifest.thresholds
    return DetectionQuery(
        confidence=defaults.confidence if parameters.confidence is None else parameters.confidence,
        iou=defaults.iou if parameters.iou is None else parameters.iou,
        class_ids=class_ids(model.manifest, parameters.classes or ()),
    )


def _tracker(parameters: StepParameters, wanted: DetectionQuery, sampling: Sampling) -> TrackerSettings:
    usual = TrackerSettings()
    rare = _PERIODS_UNTIL_LOST / sampling.value if sampling.mode is SamplingMode.FPS and sampling.value else 0.0
    return TrackerSettings(
        # No track begins with an object that the results leave out.
        new_track_score=max(usual.new_track_score, wanted.confidence),
        lost_seconds=parameters.lost_seconds or max(usual.lost_seconds, rare),
    )


def _inferences(analytics: Sequence[AnalyticsPlan]) -> tuple[Inference, ...]:
    """One question for all analytics of a model and an IoU, wide enough for each.

    Suppression goes class by class from the best score down, so what is found above a threshold does not depend on
    weaker boxes or other classes.
    """
    shared: dict[tuple[str, float], Inference] = {}
    for one in analytics:
        found = Inference(one.model, DetectionQuery(one.weakest, one.wanted.iou, one.wanted.class_ids))
        shared[found.key] = _wider(shared[found.key], found) if found.key in shared else found
    return tuple(shared.values())


def _wider(first: Inference, second: Inference) -> Inference:
    one, other = first.query.class_ids, second.query.class_ids
    classes = None if one is None or other is None else tuple(sorted({*one, *other}))
    confidence = min(first.query.confidence, second.query.confidence)
    return Inference(first.model, DetectionQuery(confidence, first.query.iou, classes))
