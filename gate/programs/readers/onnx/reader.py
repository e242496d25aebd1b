"""From the path of an ONNX file to a `Program`, or to one `OnnxRefusedError`.

The network of the gate's own table is exported by torch, written, and read again by the strict reader: what comes out
is a program of reviewed operators, as of any other format.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from gate.programs.readers.onnx.messages import MAX_BYTES
from gate.programs.readers.onnx.network import Network, example, require_mapped
from gate.programs.readers.onnx.parsing import read_graph
from gate.programs.readers.onnx.refused import OnnxRefusedError
from gate.programs.readers.onnx.table import OPERATORS
from gate.programs.writer.write import export_module
from gate.records.errors import GateError
from gate.records.record import read_bounded

if TYPE_CHECKING:
    from gate.programs.program import Program
    from gate.programs.readers.onnx.graph import OnnxGraph


def read_onnx(path: Path) -> Program:
    """Read an ONNX file of unknown origin on the CPU; every fault in it raises `RefusedError`."""
    try:
        return _program(graph_of(path))
    except GateError:
        raise
    except Exception as error:
        # Hostile bytes reach the libraries of protobuf and torch; any error of theirs means that it cannot be read.
        text = " ".join(str(error).split())[:300]
        raise OnnxRefusedError(path.name, f"cannot be read: {type(error).__name__}: {text}") from error


def graph_of(path: Path) -> OnnxGraph:
    """Return the graph of a file, whose nodes are all in the table."""
    graph = read_graph(read_bounded(path, limit=MAX_BYTES), OPERATORS)
    if len(graph.inputs) != 1:
        named = ", ".join(given.name[:40] for given in graph.inputs[:8]) or "none"
        raise OnnxRefusedError("graph.input", f"{len(graph.inputs)} inputs ({named}); one batch of samples is examined")
    require_mapped(graph)
    return graph


def _program(graph: OnnxGraph) -> Program:
    network = Network(graph).eval()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        return export_module(
            network, example(graph), Path(folder) / "program.pt2", free=graph.inputs[0].shape[0] is None
        )
