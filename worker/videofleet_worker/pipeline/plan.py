"""What a job's analytics mean on this worker. Pure; everything a user can get wrong in them is refused here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from videofleet_api.codes import ErrorCode
from videofleet_api.protocol import JobSpec
from videofleet_api.steps import Analytics, Results, StepParameters
from videofleet_api.videojob import Sampling, SamplingMode
from videofleet_worker.decode.masks import Mask
from videofleet_worker.models.detections import DetectionQuery
from videofleet_worker.models.manifest import ModelManifest
from videofleet_worker.models.registry import Model, ModelRegistry
from videofleet_worker.pipeline.regions import NOTHING_WATCHED, Watched, check_regions, masks, watched
from videofleet_worker.pipeline.stepplan import EVERYTHING, LaterStep, RefusedError, When, plan_steps
from videofleet_worker.tracking.choice import USUAL_TRACKER, TrackerName
from videofleet_worker.tracking.settings import TrackerSettings

_PERIODS_UNTIL_LOST: Final = 3
USUAL_WORDS: Final = Results()
_NO_TENSOR: Final = (16, 16)
"""Size of the picture that a decoder makes where no model takes it."""


@dataclass(frozen=True)
class AnalyticsPlan:
    """One analytics: what is found in whole frames, what is then done with it, and tracking where there are
    `tracker` settings.

    Results have the classes and at least the confidence of `wanted`. The tracker also sees weaker detections, which
    keep a track alive through an occlusion. `labels` are those of every step. The tracker follows what `tracked` says,
    of all that was found by the first `track_at` of `later`.
    """

    name: str
    model: Model
    wanted: DetectionQuery
    tracker: TrackerSettings | None
    labels: tuple[str, ...]
    later: tuple[LaterStep, ...] = ()
    tracked: When = EVERYTHING
    track_at: int = 0
    watched: Watched = NOTHING_WATCHED
    tracker_name: TrackerName = USUAL_TRACKER
    worded: Results = USUAL_WORDS

    @property
    def weakest(self) -> float:
        """The least confidence that anything here needs."""
        if self.tracker is None:
            return self.wanted.confidence
        return min(self.wanted.confidence, self.tracker.low_score)

    @property
    def looks(self) -> str | None:
        """The embedding model whose vectors the tracker compares."""
        return self.tracker.looks.model if self.tracker and self.tracker.looks else None

    @property
    def inference_key(self) -> tuple[str, float]:
        """`key` of the inference that serves it."""
        return self.model.name, self.wanted.iou

    @property
    def models(self) -> frozenset[str]:
        """Names of all models that it needs."""
        readers = {step.reader.name for step in self.later if step.reader is not None}
        return frozenset({self.model.name, *(step.model.name for step in self.later), *readers})

    @property
    def trackable(self) -> tuple[ModelManifest, ...]:
        """The models whose objects are followed; none without tracking."""
        if self.tracker is None:
            return ()
        earlier = (step.model for step in self.later[: self.track_at] if step.kind == "detect")
        return self.model.manifest, *(model.manifest for model in earlier)


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
    """All analytics of a job over one decoding, whose frames come with a picture of `model_size`, width and height.

    `settings` is the digest of the settings that it was made from.
    """

    analytics: tuple[AnalyticsPlan, ...]
    inferences: tuple[Inference, ...]
    model_size: tuple[int, int]
    settings: str = ""
    masks: tuple[Mask, ...] = ()

    @property
    def models(self) -> frozenset[str]:
        """Names of all models that are needed."""
        return frozenset().union(*(one.models for one in self.analytics))

    def takes_tensor(self, model: Model) -> bool:
        """Whether the model takes the picture that the decoder makes; for others one is cut from the frame."""
        return model.manifest.input.fit == "stretch" and _size(model) == self.model_size

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
    sizes = [_size(one.model) for one in analytics if one.model.manifest.input.fit == "stretch"]
    size = sizes[0] if sizes else _NO_TENSOR
    return Plan(_watching(spec, analytics), _inferences(analytics), size, settings, masks(spec))


def _size(model: Model) -> tuple[int, int]:
    return model.manifest.input.width, model.manifest.input.height


def _watching(spec: JobSpec, analytics: Sequence[AnalyticsPlan]) -> tuple[AnalyticsPlan, ...]:
    """The analytics, those that track with what they watch."""
    try:
        check_regions(spec, [model for one in analytics for model in one.trackable])
        return tuple(replace(one, watched=watched(spec, one.trackable)) for one in analytics)
    except ValueError as error:
        raise RefusedError(ErrorCode.BAD_PARAMETER, str(error)) from error


def _plan_one(analytics: Analytics, registry: ModelRegistry, sampling: Sampling) -> AnalyticsPlan:
    try:
        steps = plan_steps(analytics.steps, registry)
    except RefusedError as error:
        raise RefusedError(error.code, f"analytics {analytics.name}: {error.message}") from error
    tracker = None if steps.track is None else replace(_tracker(steps.track, steps.wanted, sampling), looks=steps.looks)
    return AnalyticsPlan(
        analytics.name,
        steps.model,
        steps.wanted,
        tracker,
        steps.labels,
        steps.later,
        steps.tracked,
        steps.track_at,
        tracker_name=(steps.track and steps.track.tracker) or USUAL_TRACKER,
        worded=analytics.results or USUAL_WORDS,
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
