"""What a model's folder says about itself: the document `model.yaml`."""

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

MANIFEST_FILE = "model.yaml"

Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1)]


class ModelFolderError(ValueError):
    """A model folder that cannot be used. The message names the folder, what is wrong and what would be right."""

    def __init__(self, folder: Path, problem: str) -> None:
        super().__init__(f"model folder {folder}: {problem}")
        self.folder = folder
        self.problem = problem


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelInput(_Part):
    """The tensor that the model reads: [images, 3, height, width] of bytes, the frame stretched to its size."""

    name: Text
    layout: Literal["NCHW"]
    type: Literal["uint8"]
    colour: Literal["RGB"]
    fit: Literal["stretch"]
    width: int = Field(gt=0, le=8192)
    height: int = Field(gt=0, le=8192)


class ModelOutputs(_Part):
    """Names of the tensors that the model gives: boxes [images, anchors, 4] and scores [images, anchors, classes]."""

    boxes: Text
    scores: Text


class Thresholds(_Part):
    """What counts as found where a step says nothing: the least score, and the greatest overlap of two boxes."""

    confidence: Share
    iou: Share


class ModelManifest(_Part):
    """The contents of `model.yaml`. `aliases` maps other names that a step may use for a class to its label."""

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=63)
    task: Literal["detection"]
    file: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\.onnx$")
    licence: Text
    origin: Text
    input: ModelInput
    decoder: Literal["nanodet"]
    outputs: ModelOutputs
    thresholds: Thresholds
    labels: tuple[Text, ...] = Field(min_length=1)
    aliases: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _labels_and_aliases_fit(self) -> Self:
        repeated = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if repeated:
            raise ValueError(f"labels: {', '.join(repeated)} is there more than once")
        for alias, label in self.aliases.items():
            if label not in self.labels:
                raise ValueError(f"aliases.{alias}: {label!r} is not one of the labels")
            if alias in self.labels:
                raise ValueError(f"aliases.{alias}: this is a label already")
        return self


def read_manifest(folder: Path) -> ModelManifest:
    """The manifest of a model folder; ModelFolderError naming the field where it does not fit."""
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
        return ModelManifest.model_validate(document)
    except ValidationError as error:
        raise ModelFolderError(folder, _sentence(error)) from error


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
