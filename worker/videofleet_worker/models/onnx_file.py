"""What an ONNX file takes and gives, and whether that fits what its manifest says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnxruntime as ort

from videofleet_worker.models.layouts import Shape, fits, written
from videofleet_worker.models.manifest import ModelFolderError, ModelInput, ModelManifest

_ELSEWHERE: Final = "External data path"
_TYPES = {"uint8": "tensor(uint8)", "float16": "tensor(float16)", "float32": "tensor(float)"}


@dataclass(frozen=True)
class Port:
    """An input or output of an ONNX file; `type` as ONNX Runtime writes it, for example tensor(uint8)."""

    name: str
    type: str
    shape: Shape

    def __str__(self) -> str:
        return f"{self.name} {self.type} {written(self.shape)}"


@dataclass(frozen=True)
class Ports:
    """All inputs and outputs of an ONNX file."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def fixed_batch(self, input_name: str) -> int | None:
        """The number of images that the named input insists on; None where it takes any number."""
        return next(port.shape[0] for port in self.inputs if port.name == input_name)


def read_ports(folder: Path, path: Path) -> Ports:
    """The inputs and outputs of an ONNX file. Raises ModelFolderError where ONNX Runtime cannot read it."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        # As bytes: what lies in further files is not covered by the model's digest, and cannot be found so.
        session = ort.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:
        # ONNX Runtime's exceptions have no base class of their own; whatever it says about the file is the answer.
        if _ELSEWHERE in str(error):
            raise ModelFolderError(
                folder, f"{path.name} has its weights in another file: export it as one (external_data=False)"
            ) from error
        raise ModelFolderError(folder, f"ONNX Runtime cannot read {path.name}: {error}") from error
    return Ports(_ports(session.get_inputs()), _ports(session.get_outputs()))


def _ports(arguments: Sequence[ort.NodeArg]) -> tuple[Port, ...]:
    return tuple(
        Port(one.name, one.type, tuple(side if isinstance(side, int) and side > 0 else None for side in one.shape))
        for one in arguments
    )


def misfits(manifest: ModelManifest, ports: Ports) -> list[str]:
    """A sentence for each thing that the manifest says and the ONNX file does not bear out; none: it fits."""
    found = {port.name: port for port in ports.outputs}
    return [
        *_input_misfits(ports.inputs, manifest.input),
        *(
            problem
            for part, name in manifest.outputs.items()
            for problem in _output_misfits(manifest, part, found.get(name), list(found))
        ),
    ]


def answer_misfits(manifest: ModelManifest, answers: Mapping[str, Shape]) -> list[str]:
    """The same for what the model really gave for an image, by part: a file need not say what shapes it gives."""
    return [
        f"outputs.{part}: the model gave {written(shape)}, and {_needed(manifest, part)}"
        for part, shape in answers.items()
        if not fits(shape, manifest.reads.tensors[part][0](len(manifest.labels)))
    ]


def _input_misfits(inputs: tuple[Port, ...], wanted: ModelInput) -> list[str]:
    if [port.name for port in inputs] != [wanted.name]:
        found = ", ".join(port.name for port in inputs)
        return [f"input.name: the ONNX file has the inputs {found}, and model.yaml says {wanted.name}"]
    port = inputs[0]
    if port.type != _TYPES[wanted.type]:
        return [f"input.type: the ONNX file takes {port.type}, and model.yaml says {wanted.type}"]
    for size in wanted.sizes:
        image = wanted.shape(1, size)
        if not fits(port.shape, (None, *image[1:])):
            return [f"input: the ONNX file takes {port}, and model.yaml says {written((None, *image[1:]))}"]
    if port.shape[0] not in (None, 1):
        return [f"input: the ONNX file insists on {port.shape[0]} images at a time; only 1 or any number works"]
    return []


def _output_misfits(manifest: ModelManifest, part: str, port: Port | None, names: list[str]) -> list[str]:
    if port is None:
        return [f"outputs.{part}: the ONNX file has no output {manifest.outputs[part]}, but {', '.join(names)}"]
    shape = manifest.reads.tensors[part][0](len(manifest.labels))
    if port.type != "tensor(float)" or not fits(port.shape, shape):
        return [f"outputs.{part}: the ONNX file gives {port}, and {_needed(manifest, part)}"]
    return []


def _needed(manifest: ModelManifest, part: str) -> str:
    shape, meaning = manifest.reads.tensors[part]
    return f"{written(shape(len(manifest.labels)))} of tensor(float) is needed ({meaning})"
