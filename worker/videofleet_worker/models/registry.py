"""The models that a worker can run, read from folders at its start."""

import difflib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from videofleet_worker.models.manifest import MANIFEST_FILE, ModelFolderError, ModelManifest, read_manifest
from videofleet_worker.models.onnx_file import misfits, read_ports

BUILTIN_FOLDER = Path(__file__).parent / "builtin"
TRACK_STEP = "track"
CLASSIFY_STEP = "classify"
OCR_STEP = "ocr"
TEXT_FINDER = "pp-ocrv4-det"
TEXT_READER = "pp-ocrv4-rec"
DEFAULT_MODELS: Mapping[str, str] = {
    "detect": "nanodet-m-416",
    "face": "faceboxes",
    "feature": "face-resnet-128",
    OCR_STEP: TEXT_FINDER,
}
"""What the names of steps that are no model's name stand for."""


class UnknownModelError(ValueError):
    """A step names a model that this worker does not have. The message names those that it has."""


@dataclass(frozen=True)
class Model:
    """A model that fits its manifest.

    `digest` is `sha256:` and the SHA-256, in hex, of the ONNX file followed by model.yaml and, where there is one, the
    file of labels (`cat FILE model.yaml LABELS | sha256sum`): they decide what comes out. `fixed_batch` is the number
    of images that the file insists on, None where it takes any.
    """

    manifest: ModelManifest
    folder: Path
    digest: str
    fixed_batch: int | None

    @property
    def built_in(self) -> bool:
        """Whether it came with the worker."""
        return BUILTIN_FOLDER in self.folder.parents

    @property
    def name(self) -> str:
        """The model's name, one of its kind in a registry."""
        return self.manifest.name

    @property
    def path(self) -> Path:
        """The ONNX file."""
        return self.folder / self.manifest.file


class ModelRegistry(Mapping[str, Model]):
    """The models of a worker by name."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = dict(sorted(models.items()))
        classifying = [name for name, model in models.items() if model.manifest.task == "classification"]
        # None comes with the worker. Where there is one, it is meant.
        alone = {CLASSIFY_STEP: classifying[0]} if len(classifying) == 1 else {}
        self._meant: Mapping[str, str] = {**DEFAULT_MODELS, **alone}

    @classmethod
    def load(cls, folders: Iterable[Path] = (BUILTIN_FOLDER,)) -> Self:
        """Read every model below the folders given; each of them is a model itself or holds one model a subfolder.

        Raises ModelFolderError for a folder that is missing or wrong, for a model that is named as a step is, and
        where two models have one name.
        """
        models: dict[str, Model] = {}
        for folder in folders:
            for model_folder in _model_folders(folder):
                model = load_model(model_folder)
                if model.name in (*DEFAULT_MODELS, TRACK_STEP, CLASSIFY_STEP):
                    raise ModelFolderError(model_folder, f"{MANIFEST_FILE}: name: {model.name} is a step's own name")
                if model.name in models:
                    other = models[model.name].folder
                    raise ModelFolderError(model_folder, f"the name {model.name} is taken by the model in {other}")
                models[model.name] = model
        return cls(models)

    def __getitem__(self, name: str) -> Model:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    @property
    def steps(self) -> tuple[str, ...]:
        """Every name that a step may have here."""
        return (*self._meant, TRACK_STEP, *self._models)

    def model_of(self, step: str) -> Model:
        """The model behind a step's `model`: its own name, or what a step's name stands for.

        Raises UnknownModelError.
        """
        name = self._meant.get(step, step)
        if name not in self._models:
            raise UnknownModelError(_unknown(step, list(self.steps)))
        return self._models[name]


def check_digests(registry: ModelRegistry, digests: Mapping[Path, str]) -> None:
    """Raises ModelFolderError for a folder that does not hold just one model, of the digest given for it."""
    for folder, wanted in digests.items():
        found = [model for model in registry.values() if folder in (model.folder, model.folder.parent)]
        if [model.digest for model in found] != [wanted]:
            told = ", ".join(f"{model.name} of {model.digest}" for model in found) or "no model"
            raise ModelFolderError(folder, f"one model of the digest {wanted} is wanted here, and there is {told}")


def load_model(folder: Path) -> Model:
    """Read one model's folder and compare its manifest with its ONNX file. Raises ModelFolderError."""
    manifest = read_manifest(folder)
    path = folder / manifest.file
    if not path.is_file():
        raise ModelFolderError(folder, f"{MANIFEST_FILE}: file: there is no {manifest.file} in the folder")
    ports = read_ports(folder, path)
    problems = misfits(manifest, ports)
    if problems:
        raise ModelFolderError(folder, "; ".join(problems))
    labels = [] if manifest.labels_file is None else [folder / manifest.labels_file]
    digest = _digest(path, folder / MANIFEST_FILE, *labels)
    return Model(manifest, folder, digest, ports.fixed_batch(manifest.input.name))


def _model_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ModelFolderError(folder, "there is no such folder")
    if (folder / MANIFEST_FILE).exists():
        return [folder]
    # A mounted volume brings folders of its own: the ..data of a ConfigMap, the lost+found of a disk.
    return [sub for sub in sorted(folder.iterdir()) if sub.is_dir() and sub.name[0] != "." and sub.name != "lost+found"]


def _digest(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return f"sha256:{digest.hexdigest()}"


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"unknown model {name!r}{hint}; this worker has: {', '.join(dict.fromkeys(known))}"
