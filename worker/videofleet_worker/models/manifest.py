"""What a model's folder says about itself: the document `model.yaml`."""

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from videofleet_worker.models.layouts import LAYOUTS, Layout, Task

MANIFEST_FILE = "model.yaml"

Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1)]
Channels = tuple[float, float, float]
Side = Annotated[int, Field(gt=0, le=8192)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


class ModelFolderError(ValueError):
    """A model folder that cannot be used. The message names the folder, what is wrong and what would be right."""

    def __init__(self, folder: Path, problem: str) -> None:
        super().__init__(f"model folder {folder}: {problem}")
        self.folder = folder
        self.problem = problem


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelInput(_Part):
    """The tensor that the model reads, and how a picture becomes one.

    `fit`: stretch ignores the picture's proportions; letterbox keeps them, with `padding` on both sides; corner puts
    the picture into the top left corner. `mean` and `deviation`, in the order of `colour`, are subtracted and divided
    by, of values from 0 to 255. `smaller` lists further sizes, width and height, that the model takes as well: a
    picture goes into the smallest that it fits in without being shrunk.
    """

    name: Text
    layout: Literal["NCHW", "NHWC"]
    type: Literal["uint8", "float16", "float32"]
    colour: Literal["RGB", "BGR"]
    fit: Literal["stretch", "letterbox", "corner"]
    width: Side
    height: Side
    smaller: tuple[tuple[Side, Side], ...] = ()
    padding: int = Field(114, ge=0, le=255)
    mean: Channels | None = None
    deviation: Channels | None = None

    @model_validator(mode="after")
    def _normalisation_fits(self) -> Self:
        if self.type == "uint8" and (self.mean or self.deviation):
            raise ValueError("mean and deviation need a type of floats; a model of uint8 takes pictures as they are")
        if self.deviation is not None and 0 in self.deviation:
            raise ValueError("deviation: values are divided by it, so it must not be 0")
        larger = [size for size in self.smaller if size[0] > self.width or size[1] > self.height]
        if larger:
            raise ValueError(f"smaller: {list(larger[0])} is larger than width and height")
        return self

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Widths and heights that the model takes, the smallest first."""
        return tuple(sorted({*self.smaller, (self.width, self.height)}, key=lambda size: (size[0] * size[1], size)))

    def shape(self, images: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """The shape of the tensor of so many images of a width and height."""
        return (images, 3, size[1], size[0]) if self.layout == "NCHW" else (images, size[1], size[0], 3)


class Thresholds(_Part):
    """What counts where a step says nothing: the least score, and for detection the greatest overlap of two boxes."""

    confidence: Share
    iou: Share | None = None


class ModelManifest(_Part):
    """The contents of `model.yaml`. `aliases` maps other names that a step may use for a class to its label.

    `outputs` names the tensor for each part that the decoder reads (layouts.py). Labels may lie in a file of their own
    beside it, one a line (`labels_file`). `similarity` is, for embeddings, the least cosine of vectors of one thing.
    """

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=63)
    task: Task
    file: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\.onnx$")
    licence: Text
    origin: Text
    input: ModelInput
    decoder: str
    outputs: dict[str, Text]
    thresholds: Thresholds = Thresholds(confidence=0.0)
    similarity: Share | None = None
    labels: tuple[Text, ...] = ()
    labels_file: FileName | None = None
    aliases: dict[str, str] = Field(default_factory=dict)

    @property
    def reads(self) -> Layout:
        """What the decoder needs."""
        return LAYOUTS[self.decoder]

    @property
    def iou(self) -> float:
        """The greatest overlap of two boxes of a class; 1, anything, where nothing is said."""
        return 1.0 if self.thresholds.iou is None else self.thresholds.iou

    @model_validator(mode="after")
    def _decoder_fits(self) -> Self:
        if self.decoder not in LAYOUTS:
            raise ValueError(f"decoder: {self.decoder!r} is none of {', '.join(LAYOUTS)}")
        if self.reads.task != self.task:
            raise ValueError(f"decoder: {self.decoder} is for the task {self.reads.task}, not {self.task}")
        if set(self.outputs) != set(self.reads.tensors):
            needed = ", ".join(self.reads.tensors)
            given = ", ".join(self.outputs) or "none"
            raise ValueError(f"outputs: the decoder {self.decoder} reads {needed}; named are {given}")
        if self.task == "detection" and "thresholds" not in self.model_fields_set:
            raise ValueError("thresholds: a detection needs confidence, and iou unless the model leaves no overlaps")
        if self.task != "embedding" and self.similarity is not None:
            raise ValueError(f"similarity: it is of two vectors, and belongs to the task embedding, not {self.task}")
        return self

    @model_validator(mode="after")
    def _labels_and_aliases_fit(self) -> Self:
        if not self.reads.labelled and (self.labels or self.labels_file):
            raise ValueError(f"labels: the decoder {self.decoder} has none")
        if self.reads.labelled and bool(self.labels) == bool(self.labels_file):
            raise ValueError("labels: give either labels or labels_file")
        repeated = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if repeated and self.task != "text":
            raise ValueError(f"labels: {', '.join(repeated)} is there more than once")
        for alias, label in self.aliases.items():
            if label not in self.labels:
                raise ValueError(f"aliases.{alias}: {label!r} is not one of the labels")
            if alias in self.labels:
                raise ValueError(f"aliases.{alias}: this is a label already")
        return self


def read_manifest(folder: Path) -> ModelManifest:
    """The manifest of a model folder, its labels read; ModelFolderError naming the field where it does not fit."""
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise ModelFolderError(folder, f"there is no {MANIFEST_FILE} in it")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelFolderError(folder, f"{MANIFEST_FILE} is not a YAML document: {error}") from error
    if not isinstance(document, dict):
        raise ModelFolderError(folder, f"{MANIFEST_FILE} must hold fields, not {type(document).__name__}")
    try:
        manifest = ModelManifest.model_validate(document)
    except ValidationError as error:
        raise ModelFolderError(folder, _sentence(error)) from error
    if manifest.labels_file is None:
        return manifest
    return manifest.model_copy(update={"labels": _read_labels(folder, manifest.labels_file)})


def _read_labels(folder: Path, name: str) -> tuple[str, ...]:
    try:
        # Not splitlines(): some of the characters that a model can read count as ends of lines there.
        text = (folder / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFolderError(folder, f"{MANIFEST_FILE}: labels_file: {name} cannot be read: {error}") from error
    return tuple(text.removesuffix("\n").split("\n"))


def _sentence(error: ValidationError) -> str:
    """One line that names each wrong field, what is wrong and what was given."""
    return "; ".join(
        f"{MANIFEST_FILE}: {_field(problem['loc'])}{problem['msg']}{_given(problem['type'], problem['input'])}"
        for problem in error.errors(include_url=False)
    )


def _field(location: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in location) + ": " if location else ""


def _given(kind: str, value: object) -> str:
    """The value that was refused, where it says something that the message does not."""
    if kind in ("missing", "value_error") or not isinstance(value, str | int | float | bool):
        return ""
    return f", not {value!r}"
