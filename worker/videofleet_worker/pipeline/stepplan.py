"""What the steps of an analytics mean on this worker. Pure; everything a user can get wrong in them is refused here."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from videofleet_api.codes import ErrorCode
from videofleet_api.steps import Appearance, Step, StepParameters
from videofleet_api.steps import When as WantedWhen
from videofleet_worker.models.classes import class_ids
from videofleet_worker.models.detections import DetectionQuery
from videofleet_worker.models.registry import OCR_STEP, TEXT_READER, TRACK_STEP, Model, ModelRegistry, UnknownModelError
from videofleet_worker.tracking.settings import LookSettings

Kind = Literal["detect", "classify", "embed", "read", "ocr"]
"""What a step does with the objects it looks at: finds others inside, says what they are, gives them a vector, takes
them for a line of text, looks for lines of text inside."""
_KINDS: Final[dict[str, Kind]] = {
    "detection": "detect",
    "classification": "classify",
    "embedding": "embed",
    "text": "read",
}
_DETECTION_PARAMETERS: Final = frozenset({"classes", "confidence", "iou"})
_PARAMETERS: Final[dict[str, frozenset[str]]] = {
    "detect": _DETECTION_PARAMETERS,
    "classify": frozenset({"confidence"}),
    "embed": frozenset(),
    "read": frozenset({"confidence"}),
    "ocr": frozenset({"confidence"}),
    TRACK_STEP: frozenset({"lost_seconds", "tracker", "appearance"}),
}


class RefusedError(Exception):
    """The job cannot run as it is written."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class When:
    """Which objects a step looks at: those of `classes` (None: of any) with at least this confidence."""

    classes: frozenset[int] | None = None
    confidence: float = 0.0


EVERYTHING: Final = When()


@dataclass(frozen=True)
class LaterStep:
    """A step that looks at objects that steps before it found.

    `classes` gives, for each class of a detection, its number among the labels of the analytics. `reader` reads the
    lines that an `ocr` step finds.
    """

    kind: Kind
    model: Model
    when: When
    query: DetectionQuery | None = None
    classes: tuple[int, ...] = ()
    least: float = 0.0
    """What is told with less confidence than this is left out."""
    reader: Model | None = None


@dataclass(frozen=True)
class StepPlan:
    """The steps of an analytics: what is found in whole frames, what follows, and where the tracking stands.

    `track` has the parameters of a track step, and `tracked` what it follows; it comes behind `track_at` later steps,
    of which one gives the vectors that are compared where objects are followed by their `looks` as well.
    """

    model: Model
    wanted: DetectionQuery
    labels: tuple[str, ...]
    later: tuple[LaterStep, ...]
    track: StepParameters | None
    tracked: When
    track_at: int
    looks: LookSettings | None = None


@dataclass
class _Labels:
    """The classes of an analytics so far, and other names for them."""

    names: list[str] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)

    def add(self, model: Model) -> tuple[int, ...]:
        """Take in a model's classes; the number of each here."""
        self.names += [label for label in model.manifest.labels if label not in self.names]
        self.aliases |= model.manifest.aliases
        return tuple(self.names.index(label) for label in model.manifest.labels)

    def when(self, step: Step) -> When:
        """What a step's `when` means. Raises ValueError that names a class that no step before it finds."""
        wanted: WantedWhen | None = step.when
        if wanted is None:
            return When()
        classes = None if wanted.class_is is None else frozenset(self._number(step, name) for name in wanted.class_is)
        return When(classes, wanted.min_confidence or 0.0)

    def _number(self, step: Step, name: str) -> int:
        spelled = name.strip().lower()
        label = self.aliases.get(spelled, spelled)
        if label in self.names:
            return self.names.index(label)
        close = difflib.get_close_matches(spelled, [*self.names, *self.aliases], n=3, cutoff=0.5)
        hint = f"the closest are {', '.join(close)}" if close else f"they find {', '.join(self.names)}"
        raise ValueError(f"the step {step.model}: when.classIs: no step before it finds the class {name!r}; {hint}")


def plan_steps(steps: Sequence[Step], registry: ModelRegistry) -> StepPlan:
    """Raises RefusedError, naming the step, the value and what would be right."""
    try:
        return _plan_steps(steps, registry)
    except UnknownModelError as error:
        raise RefusedError(ErrorCode.UNKNOWN_MODEL, str(error)) from error
    except ValueError as error:
        raise RefusedError(ErrorCode.BAD_PARAMETER, str(error)) from error


def _plan_steps(steps: Sequence[Step], registry: ModelRegistry) -> StepPlan:
    if sum(step.model == TRACK_STEP for step in steps) > 1:
        raise ValueError(f"{TRACK_STEP} may be named once")
    first = steps[0] if steps else None
    if first is None or first.model == TRACK_STEP or registry.model_of(first.model).manifest.task != "detection":
        name = f", not {first.model}" if first else ""
        raise ValueError(f"the first step must find objects or text: detect, face, ocr or a detection model{name}")
    if first.when is not None:
        raise ValueError(f"the step {first.model} comes first and looks at whole frames: leave `when` out")
    model, labels = registry.model_of(first.model), _Labels()
    labels.add(model)
    later: list[LaterStep] = []
    if first.model == OCR_STEP:
        _check_parameters(first, "ocr")
        later.append(_reading(first, registry, When()))
        wanted = DetectionQuery(model.manifest.thresholds.confidence, model.manifest.iou)
    else:
        _check_parameters(first, "detect")
        wanted = _query(model, first.parameters)
    track, tracked, track_at, looks = None, When(), 0, None
    for step in steps[1:]:
        when = labels.when(step)
        if step.model == TRACK_STEP:
            _check_parameters(step, TRACK_STEP)
            track, tracked, track_at = step.parameters or StepParameters(), when, len(later)
            looks = _looks(track.appearance, registry, later)
        else:
            later.append(_later(step, registry, labels, when))
    return StepPlan(model, wanted, tuple(labels.names), tuple(later), track, tracked, track_at, looks)


def _looks(wanted: Appearance | None, registry: ModelRegistry, earlier: Sequence[LaterStep]) -> LookSettings | None:
    """How a track step compares vectors. Raises ValueError where no step before it gives any."""
    if wanted is None:
        return None
    model = registry.model_of(wanted.step)
    if model.manifest.task != "embedding":
        raise ValueError(
            f"the step {TRACK_STEP}: appearance.step: {wanted.step} is for {model.manifest.task} and gives objects no "
            "vector; name a step that does, as feature"
        )
    if not any(step.model is model for step in earlier):
        raise ValueError(
            f"the step {TRACK_STEP}: appearance.step: no step {wanted.step} comes before it; put one there"
        )
    usual = LookSettings(model.name)
    own = usual.similarity if model.manifest.similarity is None else model.manifest.similarity
    return LookSettings(
        model.name,
        own if wanted.min_similarity is None else wanted.min_similarity,
        wanted.min_overlap or usual.overlap,
        usual.memory if wanted.memory is None else wanted.memory,
    )


def _later(step: Step, registry: ModelRegistry, labels: _Labels, when: When) -> LaterStep:
    model = registry.model_of(step.model)
    if step.model == OCR_STEP:
        _check_parameters(step, "ocr")
        reader = _reading(step, registry, when)
        query = DetectionQuery(model.manifest.thresholds.confidence, model.manifest.iou)
        return LaterStep("ocr", model, when, query, least=reader.least, reader=reader.model)
    kind = _KINDS[model.manifest.task]
    _check_parameters(step, kind)
    if kind == "detect":
        return LaterStep(kind, model, when, _query(model, step.parameters), labels.add(model))
    return LaterStep(kind, model, when, least=_least(model, step))


def _reading(step: Step, registry: ModelRegistry, when: When) -> LaterStep:
    reader = registry.model_of(TEXT_READER)
    return LaterStep("read", reader, when, least=_least(reader, step))


def _least(model: Model, step: Step) -> float:
    given = step.parameters.confidence if step.parameters else None
    return model.manifest.thresholds.confidence if given is None else given


def _query(model: Model, parameters: StepParameters | None) -> DetectionQuery:
    given = parameters or StepParameters()
    return DetectionQuery(
        confidence=model.manifest.thresholds.confidence if given.confidence is None else given.confidence,
        iou=model.manifest.iou if given.iou is None else given.iou,
        class_ids=class_ids(model.manifest, given.classes or ()),
    )


def _check_parameters(step: Step, kind: str) -> None:
    """Raises ValueError for a parameter that the step does not act on."""
    if step.parameters is None:
        return
    for name in StepParameters.model_fields:
        if getattr(step.parameters, name) is not None and name not in _PARAMETERS[kind]:
            others = [_TOLD[other] for other, taken in _PARAMETERS.items() if name in taken]
            raise ValueError(f"the step {step.model} takes no parameter {name}; it belongs to {' or '.join(others)}")


_TOLD: Final = {
    "detect": "a detection step",
    "classify": "a classification",
    "embed": "an embedding",
    "read": "the reading of text",
    "ocr": f"the step {OCR_STEP}",
    TRACK_STEP: f"the step {TRACK_STEP}",
}
