"""Tiny ONNX files that really compute, in folders with their model.yaml."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[np.float32]
_OPSET = 17


def _save(
    folder: Path, nodes: Sequence[Any], outputs: Mapping[str, Any], weights: Sequence[Any], **input_: Any
) -> Path:
    kind = {"uint8": TensorProto.UINT8, "float16": TensorProto.FLOAT16}.get(input_["type"], TensorProto.FLOAT)
    sides = [3, input_["height"], input_["width"]]
    shape = ["n", *(sides if input_["layout"] == "NCHW" else [*sides[1:], 3])]
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name, sides in outputs.items()],
        list(weights),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(folder / "model.onnx"))
    return folder


def always(
    folder: Path,
    answers: Mapping[str, Array],
    *,
    silent: bool = False,
    of_one: Literal["reads", "answers"] | None = None,
    **input_: Any,
) -> Path:
    """A model that answers each image with the same tensors (without the dimension of the images).

    `silent`: the file does not tell their shapes; they follow from what the image holds. `of_one`: it reads one image
    only, or answers for one, whatever the file says.
    """
    weights = [
        numpy_helper.from_array(np.array(0, np.float32), "zero"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
        numpy_helper.from_array(np.array([1, 3, input_["height"], input_["width"]], np.int64), "one_image"),
    ]
    read = "image" if of_one == "reads" else "images"
    nodes = [
        *([helper.make_node("Reshape", ["images", "one_image"], ["image"])] if of_one == "reads" else []),
        helper.make_node("Identity", ["one"], ["count"])
        if of_one == "answers"
        else helper.make_node("Shape", [read], ["count"], start=0, end=1),
        helper.make_node("Cast", [read], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["floats"], ["highest"], keepdims=0),
        helper.make_node("Mul", ["highest", "zero"], ["nothing"]),
        helper.make_node("Cast", ["nothing"], ["none"], to=TensorProto.INT64),
    ]
    for name, answer in answers.items():
        weights.append(numpy_helper.from_array(answer[None].astype(np.float32), f"{name}_one"))
        weights.append(numpy_helper.from_array(np.array(answer.shape, np.int64), f"{name}_sides"))
        nodes.append(helper.make_node("Concat", ["count", f"{name}_sides"], [f"{name}_shape"], axis=0))
        nodes.append(helper.make_node("Expand", [f"{name}_one", f"{name}_shape"], [f"{name}_all"]))
        nodes.append(helper.make_node("Add", [f"{name}_shape", "none"], [f"{name}_told"]))
        nodes.append(
            helper.make_node("Reshape", [f"{name}_all", f"{name}_told" if silent else f"{name}_shape"], [name])
        )
    told = {name: ["n", *(["any"] * answer.ndim if silent else answer.shape)] for name, answer in answers.items()}
    return _save(folder, nodes, told, weights, **input_)


def channel_means(folder: Path, output: str, matrix: Array | None = None, **input_: Any) -> Path:
    """A model whose answer is the mean of each channel [n, 3], times the matrix [3, m] where one is given."""
    axes = [2, 3] if input_["layout"] == "NCHW" else [1, 2]
    nodes = [helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT)]
    target, weights = (output, []) if matrix is None else ("means", [numpy_helper.from_array(matrix, "matrix")])
    nodes.append(helper.make_node("ReduceMean", ["floats"], [target], axes=axes, keepdims=0))
    if matrix is not None:
        nodes.append(helper.make_node("MatMul", ["means", "matrix"], [output]))
    return _save(folder, nodes, {output: ["n", 3 if matrix is None else matrix.shape[1]]}, weights, **input_)


def describe(folder: Path, name: str, task: str, decoder: str, outputs: Mapping[str, str], **fields: Any) -> Path:
    """Write the model.yaml of such a file."""
    document: dict[str, Any] = {
        "name": name,
        "task": task,
        "file": "model.onnx",
        "licence": "CC0-1.0",
        "origin": "made by a test",
        "decoder": decoder,
        "outputs": dict(outputs),
        **fields,
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(document))
    return folder


def input_of(width: int = 64, height: int = 48, **fields: Any) -> dict[str, Any]:
    """The `input` of a model.yaml."""
    return {
        "name": "images",
        "layout": "NCHW",
        "type": "float32",
        "colour": "RGB",
        "fit": "stretch",
        "width": width,
        "height": height,
    } | fields
