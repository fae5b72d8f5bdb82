"""Reading model folders: what is right is taken, what is wrong is told."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from videofleet_worker.models.manifest import ModelFolderError
from videofleet_worker.models.registry import BUILTIN_FOLDER, ModelRegistry, UnknownModelError, load_model

NANODET = BUILTIN_FOLDER / "nanodet-m-416"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the built-in model that a test may spoil."""
    return Path(shutil.copytree(NANODET, tmp_path / "models" / "copy"))


def change(folder: Path, **fields: Any) -> None:
    path = folder / "model.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | fields))


def with_field(folder: Path, section: str, **fields: Any) -> None:
    document = yaml.safe_load((folder / "model.yaml").read_text())
    change(folder, **{section: document[section] | fields})


def problem(folder: Path) -> str:
    with pytest.raises(ModelFolderError) as caught:
        load_model(folder)
    assert str(folder) in str(caught.value)
    return caught.value.problem


def test_the_built_in_model_is_the_one_that_detect_means() -> None:
    registry = ModelRegistry.load()
    model = registry.model_of("detect")
    assert list(registry) == ["face-resnet-128", "faceboxes", "nanodet-m-416", "pp-ocrv4-det", "pp-ocrv4-rec"]
    assert model is registry.model_of("nanodet-m-416") is registry["nanodet-m-416"]
    assert model.fixed_batch is None
    assert model.manifest.labels[0] == "person"
    assert len(model.manifest.labels) == 80


def test_the_digest_covers_weights_and_manifest(folder: Path) -> None:
    both = (folder / "nanodet-m-416.onnx").read_bytes() + (folder / "model.yaml").read_bytes()
    before = load_model(folder).digest
    assert before == f"sha256:{hashlib.sha256(both).hexdigest()}"
    with_field(folder, "thresholds", confidence=0.5)
    assert load_model(folder).digest != before


def test_a_folder_of_models_and_a_model_folder_both_work(folder: Path) -> None:
    (folder.parent / "..data").mkdir()
    (folder.parent / "lost+found").mkdir()
    assert list(ModelRegistry.load([folder.parent])) == list(ModelRegistry.load([folder])) == ["nanodet-m-416"]


def test_two_models_of_one_name_are_refused_naming_both(folder: Path) -> None:
    with pytest.raises(ModelFolderError, match=f"{folder}.*nanodet-m-416 is taken by the model in {NANODET}"):
        ModelRegistry.load([BUILTIN_FOLDER, folder])


def test_a_model_must_not_be_named_as_a_step_is(folder: Path) -> None:
    change(folder, name="track")
    with pytest.raises(ModelFolderError, match="name: track is a step's own name"):
        ModelRegistry.load([folder])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="nowhere: there is no such folder"):
        ModelRegistry.load([tmp_path / "nowhere"])


def test_an_unknown_model_is_told_with_those_there_are() -> None:
    with pytest.raises(UnknownModelError) as caught:
        ModelRegistry.load().model_of("nanodet-m-320")
    assert str(caught.value) == (
        "unknown model 'nanodet-m-320' (did you mean nanodet-m-416?); this worker has: detect, face, feature, "
        "ocr, track, face-resnet-128, faceboxes, nanodet-m-416, pp-ocrv4-det, pp-ocrv4-rec"
    )


def test_a_folder_without_manifest(folder: Path) -> None:
    (folder / "model.yaml").unlink()
    assert problem(folder) == "there is no model.yaml in it"


def test_a_manifest_that_is_not_yaml(folder: Path) -> None:
    (folder / "model.yaml").write_text("name: [")
    assert problem(folder).startswith("model.yaml is not a YAML document")


def test_a_manifest_that_is_a_list(folder: Path) -> None:
    (folder / "model.yaml").write_text("- nanodet")
    assert problem(folder) == "model.yaml must hold fields, not list"


def test_missing_weights(folder: Path) -> None:
    (folder / "nanodet-m-416.onnx").unlink()
    assert problem(folder) == "model.yaml: file: there is no nanodet-m-416.onnx in the folder"


def test_weights_outside_the_folder_are_refused(folder: Path) -> None:
    change(folder, file="../other.onnx")
    assert problem(folder).startswith("model.yaml: file: ")


def test_weights_that_are_no_onnx(folder: Path) -> None:
    (folder / "nanodet-m-416.onnx").write_bytes(b"not a model")
    assert problem(folder).startswith("ONNX Runtime cannot read nanodet-m-416.onnx")


def test_an_unknown_field(folder: Path) -> None:
    change(folder, treshold=1)
    assert problem(folder) == "model.yaml: treshold: Extra inputs are not permitted, not 1"


def test_a_threshold_out_of_range(folder: Path) -> None:
    with_field(folder, "thresholds", iou=1.5)
    assert problem(folder) == "model.yaml: thresholds.iou: Input should be less than or equal to 1, not 1.5"


def test_an_alias_for_no_label(folder: Path) -> None:
    change(folder, aliases={"walker": "pedestrian"})
    assert "aliases.walker: 'pedestrian' is not one of the labels" in problem(folder)


def test_an_alias_that_is_a_label(folder: Path) -> None:
    change(folder, aliases={"car": "truck"})
    assert "aliases.car: this is a label already" in problem(folder)


def test_a_label_twice(folder: Path) -> None:
    change(folder, labels=["person", "car", "person"], aliases={})
    assert "labels: person is there more than once" in problem(folder)


def test_an_input_of_another_size(folder: Path) -> None:
    with_field(folder, "input", width=320)
    assert problem(folder) == (
        "input: the ONNX file takes images tensor(uint8) [any, 3, 416, 416], and model.yaml says [any, 3, 416, 320]"
    )


def test_an_input_of_another_name(folder: Path) -> None:
    with_field(folder, "input", name="pictures")
    assert problem(folder) == "input.name: the ONNX file has the inputs images, and model.yaml says pictures"


def test_an_output_of_another_name(folder: Path) -> None:
    with_field(folder, "outputs", boxes="corners")
    assert problem(folder) == "outputs.boxes: the ONNX file has no output corners, but boxes, scores"


def test_more_classes_than_labels(folder: Path) -> None:
    change(folder, labels=["person", "car"], aliases={})
    assert problem(folder).startswith("outputs.scores: the ONNX file gives scores tensor(float) [any, 3549, 80]")
