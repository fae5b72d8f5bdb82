"""What an ONNX file takes and gives, and whether that fits what its manifest says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort

from videofleet_worker.models.manifest import ModelFolderError, ModelManifest

# A side of a tensor: a number, or None where the file takes any.
Side = int | None


@dataclass(frozen=True)
class Port:
    """An input or output of an ONNX file; `type` as ONNX Runtime writes it, for example tensor(uint8)."""

    name: str
    type: str
    shape: tuple[Side, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.type} [{', '.join('any' if s is None else str(s) for s in self.shape)}]"


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
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:
        # ONNX Runtime's exceptions have no base class of their own; whatever it says about the file is the answer.
        raise ModelFolderError(folder, f"ONNX Runtime cannot read {path.name}: {error}") from error
    return Ports(_ports(session.get_inputs()), _ports(session.get_outputs()))


def _ports(arguments: Sequence[ort.NodeArg]) -> tuple[Port, ...]:
    return tuple(
        Port(one.name, one.type, tuple(side if isinstance(side, int) and side > 0 else None for side in one.shape))
        for one in arguments
    )


def misfits(manifest: ModelManifest, ports: Ports) -> list[str]:
    """A sentence for each thing that the manifest says and the ONNX file does not bear out; none: it fits."""
    wanted = manifest.input
    return [
        *_input_misfits(ports.inputs, wanted.name, (3, wanted.height, wanted.width)),
        *_output_misfits(ports.outputs, "outputs.boxes", manifest.outputs.boxes, 4, "corners of a box"),
        *_output_misfits(ports.outputs, "outputs.scores", manifest.outputs.scores, len(manifest.labels), "labels"),
    ]


def _input_misfits(inputs: tuple[Port, ...], name: str, image: tuple[int, int, int]) -> list[str]:
    if [port.name for port in inputs] != [name]:
        found = ", ".join(port.name for port in inputs)
        return [f"input.name: the ONNX file has the inputs {found}, and model.yaml says {name}"]
    port = inputs[0]
    if port.type != "tensor(uint8)":
        return [f"input.type: the ONNX file takes {port.type}, and model.yaml says uint8"]
    fits = len(port.shape) == 4 and all(side in (None, want) for side, want in zip(port.shape[1:], image, strict=True))
    if not fits:
        return [f"input: the ONNX file takes {port}, and model.yaml says [any, {', '.join(map(str, image))}]"]
    if port.shape[0] not in (None, 1):
        return [f"input: the ONNX file insists on {port.shape[0]} images at a time; only 1 or any number works"]
    return []


def _output_misfits(outputs: tuple[Port, ...], field: str, name: str, width: int, what: str) -> list[str]:
    port = next((port for port in outputs if port.name == name), None)
    if port is None:
        return [f"{field}: the ONNX file has no output {name}, but {', '.join(port.name for port in outputs)}"]
    if port.type != "tensor(float)" or len(port.shape) != 3 or port.shape[2] not in (None, width):
        return [f"{field}: the ONNX file gives {port}, and [any, any, {width}] of tensor(float) is needed ({what})"]
    return []
