"""Steps that the API server refuses, and the sentence that a person then reads."""

from typing import Any

import pytest

from tests.cluster.crd.server import Json, Server
from tests.cluster.crd.test_crd_refusals import DETECT, TRACK, body, job

FEATURE = {"model": "feature"}
LOOKS = {"step": "feature"}
FIRST = (
    "the first step must find something: detect, face, ocr or the name of a detection model; track, feature and "
    "classify need the objects that a step before them found"
)
APPEARANCE = "spec.analytics[0].steps[2].parameters.appearance"
NOT_BEFORE = "appearance.step must name an embedding step that comes before the step track, as it is named there"
NO_EMBEDDING = "step must name an embedding step: feature, or the name of an embedding model"


def steps(*models: str) -> Json:
    """A job with these steps."""
    return job(analytics=[{"steps": [{"model": model} for model in models]}])


def appearance(*before: str, behind: tuple[str, ...] = (), **given: Any) -> Json:
    """A job that tracks by looks, with these steps before and behind the track step."""
    track = {**TRACK, "parameters": {"appearance": {**LOOKS, **given}}}
    names = [[{"model": name} for name in part] for part in (("detect", *before), behind)]
    return job(analytics=[{"steps": [*names[0], track, *names[1]]}])


STEPS: dict[str, tuple[Json, tuple[str, str]]] = {
    "track first": (steps("track"), ("spec.analytics[0]", FIRST)),
    "track twice": (steps("detect", "track", "track"), ("spec.analytics[0]", "track may be named once")),
    "a class of nothing": (steps("classify"), ("spec.analytics[0]", FIRST)),
    "a vector of nothing": (steps("feature", "detect"), ("spec.analytics[0]", FIRST)),
    "when at the first step": (
        job(analytics=[{"steps": [{**DETECT, "when": {"minConfidence": 0.5}}]}]),
        ("spec.analytics[0]", "the first step looks at whole frames, where nothing is found yet: leave its when out"),
    ),
    "an empty when": (
        job(analytics=[{"steps": [DETECT, {"model": "ocr", "when": {}}]}]),
        ("spec.analytics[0].steps[1].when", "when needs classIs, minConfidence or both"),
    ),
    "when with no class": (
        job(analytics=[{"steps": [DETECT, {"model": "ocr", "when": {"classIs": []}}]}]),
        body("spec.analytics[0].steps[1].when.classIs", 0, "should have at least 1 items"),
    ),
    "when above all confidence": (
        job(analytics=[{"steps": [DETECT, {"model": "ocr", "when": {"minConfidence": 1.5}}]}]),
        body("spec.analytics[0].steps[1].when.minConfidence", 1.5, "should be less than or equal to 1"),
    ),
    "only tracked objects without tracks": (
        job(analytics=[{"steps": [DETECT], "results": {"trackedOnly": True}}]),
        ("spec.analytics[0]", "results.trackedOnly needs the step track"),
    ),
    "looks of no step": (appearance(), ("spec.analytics[0]", NOT_BEFORE)),
    "looks of a step behind": (appearance("face", behind=("feature",)), ("spec.analytics[0]", NOT_BEFORE)),
    "looks of another embedding": (appearance("feature", step="osnet"), ("spec.analytics[0]", NOT_BEFORE)),
    "looks of a detection": (appearance("feature", step="detect"), (APPEARANCE, NO_EMBEDDING)),
    "looks at a reading": (
        job(analytics=[{"steps": [DETECT, FEATURE, {"model": "ocr", "parameters": {"appearance": LOOKS}}]}]),
        ("spec.analytics[0].steps[2]", "appearance belongs to the step track"),
    ),
    "looks more than alike": (
        appearance("feature", minSimilarity=2),
        body(f"{APPEARANCE}.minSimilarity", 2, "should be less than or equal to 1"),
    ),
    "looks however far away": (
        appearance("feature", minOverlap=0),
        body(f"{APPEARANCE}.minOverlap", 0, "should be greater than 0"),
    ),
    "looks never learnt anew": (
        appearance("feature", memory=1),
        body(f"{APPEARANCE}.memory", 1, "should be less than 1"),
    ),
}


@pytest.mark.parametrize(("spec", "cause"), STEPS.values(), ids=STEPS.keys())
def test_steps_that_cannot_work_are_refused(server: Server, spec: Json, cause: tuple[str, str]) -> None:
    assert server.refusal("VideoJob", spec).causes == {cause}
