"""What is done with the frames of a VideoJob: chains of steps."""

from typing import Annotated, Final, Literal

from pydantic import Field

from videofleet_api.model import Document
from videofleet_api.rules import rules

_NO_EMBEDDINGS: Final = ("detect", "face", "ocr", "classify", "track")
"""Steps that give objects no vector."""


class Appearance(Document):
    """How a tracker goes by what objects look like, beside where they are."""

    model_config = rules(
        (
            f"!(self.step in [{', '.join(repr(name) for name in _NO_EMBEDDINGS)}])",
            "step must name an embedding step: feature, or the name of an embedding model",
        ),
    )

    step: str = Field(
        min_length=1,
        max_length=63,
        description="The embedding step whose vectors are compared, by its model: feature, or the name of an embedding "
        "model. It comes before the track step.",
    )
    min_similarity: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Least cosine of two vectors at which objects look alike; without it the model's own, 0.5 where it "
        "has none.",
    )
    min_overlap: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Looks count only where an object overlaps at least so much (IoU) with where its track is "
        "expected; without it 0.2.",
    )
    memory: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="How much of a track's vector is kept when a new one is seen, the rest is the new one's (an "
        "exponential moving average); without it 0.9.",
    )


class StepParameters(Document):
    """Settings of a step; each has the model's own default."""

    classes: list[Annotated[str, Field(min_length=1, max_length=63)]] | None = Field(
        None, min_length=1, max_length=128, description="Detection: only these classes, by the model's labels."
    )
    confidence: float | None = Field(
        None, ge=0, le=1, description="Detection, classification, text: least confidence that counts."
    )
    iou: float | None = Field(
        None, ge=0, le=1, description="Detection: boxes of a class that overlap more than this are one."
    )
    lost_seconds: float | None = Field(
        None, gt=0, le=60, description="Tracking: how long an unseen object keeps its track."
    )
    tracker: Literal["bytetrack", "ocsort"] | None = Field(
        None, description="Tracking: the method, bytetrack (default) or ocsort; another one begins new tracks."
    )
    appearance: Appearance | None = Field(
        None,
        description="Tracking: also goes by what objects look like, by the vectors of an embedding step; without it "
        "only by where they are.",
    )


class When(Document):
    """Which objects a step looks at. What it does not look at passes through unchanged."""

    model_config = rules(
        ("has(self.classIs) || has(self.minConfidence)", "when needs classIs, minConfidence or both"),
    )

    class_is: list[Annotated[str, Field(min_length=1, max_length=63)]] | None = Field(
        None, min_length=1, max_length=128, description="Only objects of these classes, by the labels of earlier steps."
    )
    min_confidence: float | None = Field(
        None, ge=0, le=1, description="Only objects that were found with at least this confidence."
    )


class Step(Document):
    """One step of an analytics."""

    model_config = rules(
        (
            "!has(self.parameters) || !has(self.parameters.appearance) || self.model == 'track'",
            "appearance belongs to the step track",
        ),
    )

    model: str = Field(
        min_length=1,
        max_length=63,
        description="What the step does: detect (objects), face (faces), ocr (text), feature (a vector for each "
        "object), classify (with a model that was brought), track, or the name of a model. The first step looks at "
        "whole frames, the others at the objects that were found before them, at full resolution.",
    )
    parameters: StepParameters | None = Field(None, description="Settings of the step.")
    when: When | None = Field(None, description="Which objects the step looks at; without it all.")


_MOST_STEPS: Final = 8
_PLACES: Final = list(range(_MOST_STEPS))
_APPEARANCE: Final = "self.steps[i].parameters.appearance"
"""Of the step at the place i. By places, since a rule that copies the names of steps costs more than is allowed."""


ClassName = Annotated[str, Field(min_length=1, max_length=63)]


class Results(Document):
    """How the results of an analytics are worded; nothing else is found because of it."""

    model: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="What the first result and the summary call the model, for a reader who asked for one by this "
        "name; without it the summary has the name of the first step's model.",
    )
    class_names: dict[str, ClassName] = Field(
        default_factory=dict,
        max_length=128,
        description="What results call a class, by its label, for example person: pedestrian. Other classes keep "
        "their labels.",
    )
    tracked_only: bool = Field(
        False, description="true: objects that have no track (yet) are left out of results. Needs the step track."
    )


class Analytics(Document):
    """A chain of steps over the decoded frames."""

    model_config = rules(
        (
            "self.steps.size() == 0 || !(self.steps[0].model in ['track', 'feature', 'classify'])",
            "the first step must find something: detect, face, ocr or the name of a detection model; track, feature "
            "and classify need the objects that a step before them found",
        ),
        (
            "self.steps.size() == 0 || !has(self.steps[0].when)",
            "the first step looks at whole frames, where nothing is found yet: leave its when out",
        ),
        ("self.steps.filter(s, s.model == 'track').size() <= 1", "track may be named once"),
        (
            f"{_PLACES}.all(i, i >= self.steps.size() || !has(self.steps[i].parameters) || !has({_APPEARANCE}) || "
            f"{_PLACES}.exists(j, j < i && self.steps[j].model == {_APPEARANCE}.step))",
            "appearance.step must name an embedding step that comes before the step track, as it is named there",
        ),
        (
            "!has(self.results) || !has(self.results.trackedOnly) || !self.results.trackedOnly || "
            "self.steps.exists(s, s.model == 'track')",
            "results.trackedOnly needs the step track",
        ),
    )

    name: str = Field(
        "main",
        max_length=63,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        description="Name of the analytics; its results lie under it.",
    )
    steps: list[Step] = Field(min_length=1, max_length=_MOST_STEPS, description="Steps, in order.")
    results: Results | None = Field(None, description="How its results are worded.")
