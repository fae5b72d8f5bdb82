"""From a request of V to the spec of a VideoJob. Pure."""

from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

from videofleet_api.steps import Step, StepParameters
from videofleet_gateway.errors import invalid
from videofleet_gateway.tasks.request import DEFAULT_FPS, ProcessRequest, Range, Sampling
from videofleet_gateway.tasks.request import Step as GivenStep
from videofleet_kube.resources import Json

ANALYTICS: Final = "main"
ATTEMPTS: Final = 3
"""A task that fails before its first frame is tried twice more."""
STEPS: Final = ("detect", "face", "ocr", "feature", "classify", "track")
"""Models that every worker has, by what they do."""
_FINDING: Final = ("detect", "face")
"""Behind the first step; ocr there reads what is written on objects."""
_NEED_OBJECTS: Final = ("track", "feature", "classify")
_WORDS: Final = {"person": "pedestrian", "car": "automobile"}
"""What V calls classes, by the labels of models."""
_PARAMETERS: Final = frozenset(StepParameters.model_fields)


def job_spec(request: ProcessRequest, source: Json, models: Sequence[str], *, live: bool = False) -> Json:
    """The spec of the job that does what a request asks for, of the video at `source`.

    `models`: names of models that workers have beside the usual; `live`: the source has no end. Raises GatewayError.
    """
    spec: Json = {
        "source": source,
        "singlePass": True,
        "sampling": _sampling(request.video.sampling),
        "maxFrames": request.video.max_frames,
        "analytics": [
            {"name": ANALYTICS, "steps": steps(request.steps, models), "results": _words(request)},
        ],
        "restart": {"maxAttempts": ATTEMPTS},
        # The stream of a task has every frame, of a camera too.
        "outputs": {"archive": {"detail": "frames"}},
    }
    if request.video.range is not None:
        spec["range"] = _range(request.video.range, live=live)
    return spec


def steps(given: Sequence[GivenStep], models: Sequence[str]) -> list[Json]:
    """The steps, with `track` behind the last that finds objects where there is none: every target has a track."""
    translated = [_step(step, place, models) for place, step in enumerate(given)]
    if any(step.model == "track" for step in given):
        return translated
    last = max(place for place, step in enumerate(given) if place == 0 or step.model in _FINDING)
    return [*translated[: last + 1], {"model": "track"}, *translated[last + 1 :]]


def _words(request: ProcessRequest) -> Json:
    """How its results are told: in the words of V, but for those in which the request itself asks."""
    words: Json = {"trackedOnly": True, "classNames": class_names(request.steps)}
    return words | ({"model": request.model} if request.model is not None else {})


def class_names(steps: Sequence[GivenStep]) -> dict[str, str]:
    """What V calls classes, by the labels of models, but for those in which these steps ask."""
    asked = {
        name.strip().lower()
        for step in steps
        for names in ((step.parameters or {}).get("classes"), step.when.class_is if step.when else None)
        if isinstance(names, list)
        for name in names
        if isinstance(name, str)
    }
    return {label: name for label, name in _WORDS.items() if label not in asked}


def _step(given: GivenStep, place: int, models: Sequence[str]) -> Json:
    at = f"steps.{place}"
    if given.model not in STEPS and given.model not in models:
        known = ", ".join(sorted({*STEPS, *models}))
        raise invalid(f"{at}.model", f"{at}.model: there is no model {given.model!r}; there are {known}", given.model)
    if place == 0 and given.model in _NEED_OBJECTS:
        raise invalid(
            f"{at}.model", f"{at}.model: {given.model} needs objects that a step before it has found", given.model
        )
    if place == 0 and given.when is not None:
        raise invalid(f"{at}.when", f"{at}.when: the first step looks at whole frames, where nothing is found yet")
    step = Step(
        model=given.model,
        parameters=parameters(given.parameters, f"{at}.parameters"),
        when=None,
    ).wire()
    if given.when is not None:
        when = {"classIs": given.when.class_is, "minConfidence": given.when.min_confidence}
        step["when"] = {name: value for name, value in when.items() if value is not None}
        if not step["when"]:
            del step["when"]
    return step


def parameters(given: dict[str, object] | None, at: str) -> StepParameters | None:
    """Those of a step, which stand at `at`. Raises GatewayError."""
    if not given:
        return None
    unknown = sorted(set(given) - _PARAMETERS)
    if unknown:
        raise invalid(
            f"{at}.{unknown[0]}", f"{at}: {unknown[0]} is no parameter; there are {', '.join(sorted(_PARAMETERS))}"
        )
    try:
        return StepParameters.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join([at, *map(str, first["loc"])])
        raise invalid(field, f"{field}: {first['msg']}") from None


def _sampling(given: Sampling | None) -> Json:
    match given:
        case None:
            return {"mode": "fps", "value": DEFAULT_FPS}
        case Sampling(mode="keyframe"):
            return {"mode": "keyframe"}
        case Sampling(mode="interval", unit="seconds", value=value) if value:
            return {"mode": "fps", "value": 1 / value}
        case _:
            return {"mode": given.mode, "value": given.value}


def _range(given: Range, *, live: bool) -> Json:
    if live:
        raise invalid("input.0.range", "input.0.range: a live source has neither a beginning nor an end")
    return {name: value for name, value in given.model_dump().items() if value is not None}
