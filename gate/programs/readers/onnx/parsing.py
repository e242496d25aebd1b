"""Bytes of a model to its graph: operators of one version, every name defined once, every tensor of its own size."""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING, Any, Final

import torch
from onnx import AttributeProto, numpy_helper

from gate.programs.readers.onnx.graph import OPSETS, Constant, OnnxGraph, OnnxInput, OnnxNode, dtype_of
from gate.programs.readers.onnx.messages import parse
from gate.programs.readers.onnx.refused import SIZES, UNKNOWN, OnnxRefusedError
from gate.programs.refused import printable
from gate.programs.schema import MAX_NODES, MAX_RANK

if TYPE_CHECKING:
    from collections.abc import Collection

    import onnx

_DEFAULT: Final = ("", "ai.onnx")
_MAX_ELEMENTS: Final = 1 << 30
_CONFIGURATION: Final = "ort_config"
"""Metadata that onnxruntime takes for session options, where its environment says so."""
_MAX_NAMED: Final = 20
_MAX_SIDE: Final = 1 << 20
_ATTRIBUTE: Final = re.compile(r"[a-z][A-Za-z0-9_]{0,63}")


def read_graph(raw: bytes, known: Collection[str]) -> OnnxGraph:
    """Read a model whose nodes all call operators in `known`; every other operator is named in the refusal."""
    model = parse(raw)
    graph = model.graph
    if not model.HasField("graph"):
        raise OnnxRefusedError("model", "it holds no graph")
    if any(entry.key == _CONFIGURATION for entry in model.metadata_props):
        raise OnnxRefusedError("model.metadata_props", f"it configures onnxruntime itself ({_CONFIGURATION})")
    opset = _opset(model)
    _require_known(graph, known)
    constants = {}
    for tensor in graph.initializer:
        if not tensor.name or tensor.name in constants:
            raise OnnxRefusedError("graph.initializer", f"the name {tensor.name!r} is empty, or given twice")
        where = f"initializer[{printable(tensor.name, 80)}]"
        constants[tensor.name] = Constant.of(tensor.name, to_tensor(tensor, where))
    # Before the fourth version of the format every initializer was an input as well.
    inputs = tuple(_input(value) for value in graph.input if value.name not in constants)
    nodes = tuple(_node(node, index) for index, node in enumerate(graph.node))
    outputs = tuple(value.name for value in graph.output)
    _require_order(inputs, constants, nodes, outputs)
    return OnnxGraph(opset, inputs, outputs, nodes, constants)


def _opset(model: onnx.ModelProto) -> int:
    """Return the version of the default operators; sets of other domains may be declared, as exporters do, not used."""
    versions = {entry.version for entry in model.opset_import if entry.domain in _DEFAULT}
    if len(versions) != 1 or not versions <= set(OPSETS):
        named = ", ".join(map(str, sorted(versions))) or "none"
        raise OnnxRefusedError(
            "model.opset_import", f"operator set version {named}; {OPSETS[0]} to {OPSETS[-1]} are read"
        )
    return int(versions.pop())


def _require_known(graph: onnx.GraphProto, known: Collection[str]) -> None:
    if len(graph.node) > MAX_NODES:
        raise OnnxRefusedError("graph.node", f"{len(graph.node)} nodes; at most {MAX_NODES} are read")
    counts: dict[str, int] = {}
    for node in graph.node:
        if node.domain not in _DEFAULT or node.op_type not in known:
            name = node.op_type if node.domain in _DEFAULT else f"{node.domain}.{node.op_type}"
            counts[name] = counts.get(name, 0) + 1
    if counts:
        listed = [f"{printable(name, 60)} ({count} times)" for name, count in sorted(counts.items())]
        more = f" and {len(listed) - _MAX_NAMED} more" if len(listed) > _MAX_NAMED else ""
        kinds = f"{len(listed)} kinds of operators are" if len(listed) > 1 else "one kind of operator is"
        what = f"{kinds} not in the gate's table: {', '.join(listed[:_MAX_NAMED])}{more}"
        raise OnnxRefusedError("graph.node", what, what_to_do=UNKNOWN)


def _input(value: onnx.ValueInfoProto) -> OnnxInput:
    where = f"graph.input[{printable(value.name, 80)}]"
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        raise OnnxRefusedError(where, "no shape is stated", what_to_do=SIZES)
    kind = value.type.tensor_type
    shape = tuple(size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim)
    # Some exporters write 0 or -1 for a free batch.
    shape = tuple(size if size is None or index or size > 0 else None for index, size in enumerate(shape))
    if not 2 <= len(shape) <= MAX_RANK or any(size is None for size in shape[1:]):
        raise OnnxRefusedError(where, f"the sizes {shape} are not all fixed behind the batch", what_to_do=SIZES)
    if any(size is not None and not 0 < size <= _MAX_SIDE for size in shape):
        raise OnnxRefusedError(where, f"the sizes {shape} are no sizes of images")
    return OnnxInput(value.name, shape, dtype_of(kind.elem_type, where))


def to_tensor(tensor: onnx.TensorProto, where: str) -> torch.Tensor:
    """Return a tensor that lies in the message itself, exactly as long as its sizes say."""
    dtype, sizes = dtype_of(tensor.data_type, where), tuple(tensor.dims)
    if len(sizes) > MAX_RANK or any(size < 0 for size in sizes) or prod(sizes) > _MAX_ELEMENTS:
        raise OnnxRefusedError(where, f"the sizes {sizes} are not read")
    if tensor.HasField("raw_data"):
        if len(tensor.raw_data) != prod(sizes) * dtype.itemsize:
            raise OnnxRefusedError(where, f"{len(tensor.raw_data)} bytes for {prod(sizes)} numbers of {dtype}")
        if dtype is torch.bool and tensor.raw_data.strip(b"\x00\x01"):
            raise OnnxRefusedError(where, "a boolean is neither 0 nor 1")
        flat = torch.frombuffer(bytearray(tensor.raw_data), dtype=dtype) if tensor.raw_data else None
        return torch.empty(sizes, dtype=dtype) if flat is None else flat.reshape(sizes)
    try:
        array = numpy_helper.to_array(tensor)
    except (TypeError, ValueError, OverflowError) as error:
        raise OnnxRefusedError(where, f"its numbers cannot be read: {error}") from None
    if dtype is torch.bfloat16:
        return torch.from_numpy(array.astype("float32")).to(dtype).reshape(sizes)
    return torch.from_numpy(array.copy()).to(dtype).reshape(sizes)


def _node(node: onnx.NodeProto, index: int) -> OnnxNode:
    named = printable(node.name, 60) if node.name else f"{index}"
    where = f"node[{named}] ({node.op_type})"
    attributes: dict[str, Any] = {}
    for attribute in node.attribute:
        if _ATTRIBUTE.fullmatch(attribute.name) is None or attribute.name in attributes:
            raise OnnxRefusedError(where, f"the attribute {attribute.name!r} is no name, or is given twice")
        attributes[attribute.name] = _attribute(attribute, f"{where}.{attribute.name}")
    return OnnxNode(node.op_type, tuple(node.input), tuple(node.output), attributes, where)


def _attribute(attribute: onnx.AttributeProto, where: str) -> Any:
    """Return an attribute as number, text, tuple or tensor."""
    match attribute.type:
        case AttributeProto.FLOAT:
            return attribute.f
        case AttributeProto.INT:
            return attribute.i
        case AttributeProto.STRING:
            return attribute.s.decode("utf-8", "backslashreplace")
        case AttributeProto.TENSOR:
            return to_tensor(attribute.t, where)
        case AttributeProto.FLOATS:
            return tuple(attribute.floats)
        case AttributeProto.INTS:
            return tuple(attribute.ints)
        case _:
            raise OnnxRefusedError(where, f"an attribute of the kind {attribute.type} is not read")


def _require_order(
    inputs: tuple[OnnxInput, ...], constants: Collection[str], nodes: tuple[OnnxNode, ...], outputs: tuple[str, ...]
) -> None:
    """Require that each value is defined once, and before it is used."""
    seen = {*constants, *(value.name for value in inputs)}
    if len(seen) != len(constants) + len(inputs) or "" in seen:
        raise OnnxRefusedError("graph.input", "a name is empty, or defined twice")
    for node in nodes:
        for name in node.inputs:
            if name and name not in seen:
                raise OnnxRefusedError(node.where, f"{printable(name, 80)!r} is used before it is defined")
        for name in filter(None, node.outputs):
            if name in seen:
                raise OnnxRefusedError(node.where, f"{printable(name, 80)!r} is defined twice")
            seen.add(name)
    if not outputs or len(set(outputs)) != len(outputs):
        raise OnnxRefusedError("graph.output", "there is none, or one is named twice")
    for name in outputs:
        if name not in seen:
            raise OnnxRefusedError("graph.output", f"{printable(name, 80)!r} is not defined")
