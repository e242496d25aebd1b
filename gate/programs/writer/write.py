"""Writer of bundles: a program as a `.pt2` archive of JSON and raw tensors that holds nothing a loader would execute.

Only what the strict reader understood is written, in the layout that `torch.export.load` reads too: no stack traces, no
guards, no names of modules, zeros as sample inputs. The same program and tensors always give the same bytes.
"""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from gate.formats.pt2_document import lint_document
from gate.programs.readers.pt2.reader import read_program
from gate.programs.refused import RefusedError
from gate.programs.schema import DTYPES, STRIDED
from gate.programs.writer.example import sample_inputs
from gate.programs.writer.records import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gate.programs.program import Program
    from gate.programs.schema import StateTensor
    from gate.programs.writer.records import Layout, Placed

_ROOT: Final = "model"
_DTYPE_CODES: Final = {dtype: code for code, dtype in DTYPES.items()}
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_SCHEMA_MINOR: Final = 20
_RECORDS: Final = {"weights": "weight", "constants": "tensor"}
"""Prefix of the raw records' names, by kind."""
_CPU: Final = {"type": "cpu", "index": None}
_DEVICES: Final = frozenset({"device", "as_device"})


def write_program(program: Program, path: Path) -> None:
    """Write a program to a new archive; one whose texts other loaders might execute is refused.

    The graph is written as it was read: a program whose baked batch size was made free keeps it baked in its bundle.
    """
    if sys.byteorder != "little":
        raise RefusedError("byteorder", "raw records are little-endian; this machine is not")
    layouts = layouts_of(program)
    document = program_document(program, layouts)
    hazard = next(lint_document(document), None)
    if hazard is not None:
        raise RefusedError(hazard.where, hazard.what)
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as container:
        for name, content in _members(layouts, program, document):
            container.writestr(zipfile.ZipInfo(f"{_ROOT}/{name}", _EPOCH), content)


def export_module(module: torch.nn.Module, example: torch.Tensor, path: Path, *, free: bool = True) -> Program:
    """Export an eval-mode module by torch, with a free batch size if it takes one, and write it as a bundle.

    Without `free` the batch is fixed to the example's. Tracing runs the module's own code: a candidate's belongs in the
    converter process, never in the scan worker.
    """
    return _written(_exported(module, example) if free else torch.export.export(module, (example,)), path)


def export_of_tokens(
    module: torch.nn.Module, example: tuple[torch.Tensor, torch.Tensor], path: Path, most: int
) -> Program:
    """Export an eval-mode module of ids and mask (N, L) for any number of texts of up to `most` tokens, and write it.

    One that takes no free sizes is the exporter's error: texts have all lengths.
    """
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=most)}
    return _written(torch.export.export(module, example, dynamic_shapes=(dict(sizes), dict(sizes))), path)


def _written(exported: torch.export.ExportedProgram, path: Path) -> Program:
    """Write what torch exported as a bundle's program, and return that."""
    with tempfile.TemporaryDirectory() as directory:
        draft = Path(directory) / "draft.pt2"
        torch.export.save(exported, draft)
        write_program(read_program(draft), path)
    return read_program(path)


def _exported(module: torch.nn.Module, example: torch.Tensor) -> torch.export.ExportedProgram:
    batch = example if len(example) > 1 else torch.cat([example, example])
    try:
        return torch.export.export(module, (batch,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    except (torch._dynamo.exc.UserError, ValueError, RuntimeError, RefusedError) as error:  # noqa: SLF001  # the exporter's own
        if isinstance(error, RefusedError) and error.with_any_batch:
            raise
        return torch.export.export(module, (example[:1],))


def _members(layouts: Mapping[str, Layout], program: Program, document: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield all members of the archive: tensors first, as the raw records are the bulk of it."""
    entries = {entry.qualified_name: entry for entry in program.state}
    for kind, prefix in _RECORDS.items():
        layout = layouts[kind]
        config = {name: _tensor_entry(entries[name], placed, prefix) for name, placed in layout.placed.items()}
        for record in range(layout.count):
            yield f"data/{kind}/{prefix}_{record}", layout.content(record)
        yield f"data/{kind}/model_{kind}_config.json", _dump({"config": config})
    yield "models/model.json", _dump(document)
    yield "data/sample_inputs/model.pt", sample_inputs(program)
    yield "archive_format", b"pt2"
    yield "archive_version", b"0"
    yield "byteorder", b"little"
    yield ".data/version", b"6\n"


def layouts_of(program: Program) -> dict[str, Layout]:
    """Return where the tensors go; those that get gradients in other loaders share no record with the others."""
    tensors: dict[str, dict[str, torch.Tensor]] = {kind: {} for kind in _RECORDS}
    with_gradients = set()
    for entry in program.state:
        tensors[_kind(entry)][entry.qualified_name] = program.tensors[entry.name]
        if _requires_grad(entry, program.tensors[entry.name]):
            with_gradients.add(entry.qualified_name)
    return {kind: lay_out(found, with_gradients) for kind, found in tensors.items()}


def _kind(entry: StateTensor) -> str:
    return "weights" if entry.persistent else "constants"


def _requires_grad(entry: StateTensor, tensor: torch.Tensor) -> bool:
    """Tell whether other loaders are to give a tensor gradients: as in its own archive, if it can have any."""
    return entry.requires_grad and entry.kind == "parameter" and tensor.is_floating_point()


def _tensor_entry(entry: StateTensor, placed: Placed, prefix: str) -> dict[str, Any]:
    return {
        "path_name": f"{prefix}_{placed.record}",
        "is_param": entry.kind == "parameter",
        "use_pickle": False,
        "tensor_meta": _tensor_meta(entry, placed),
    }


def _tensor_meta(entry: StateTensor, placed: Placed) -> dict[str, Any]:
    tensor = placed.tensor
    return {
        "dtype": _DTYPE_CODES[tensor.dtype],
        "sizes": [{"as_int": size} for size in tensor.shape],
        "requires_grad": _requires_grad(entry, tensor),
        "device": _CPU,
        "strides": [{"as_int": stride} for stride in tensor.stride()],
        "storage_offset": {"as_int": placed.offset},
        "layout": STRIDED,
    }


def _on_cpu(value: Any) -> Any:
    """Return a part of the JSON with the CPU, where all tensors are, for every device."""
    if isinstance(value, list):
        return [_on_cpu(item) for item in value]
    if isinstance(value, dict):
        return {key: _CPU if key in _DEVICES and item is not None else _on_cpu(item) for key, item in value.items()}
    return value


def _node(node: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "target": node["target"],
        "inputs": _on_cpu(node["inputs"]),
        "outputs": node["outputs"],
        "metadata": {},
        "is_hop_single_tensor_return": None,
        "name": node.get("name"),
    }


def program_document(program: Program, layouts: Mapping[str, Layout]) -> dict[str, Any]:
    """Return the program's JSON, with only what a loader needs to run it."""
    source = program.document
    module = source["graph_module"]
    graph = module["graph"]
    values = _on_cpu(graph["tensor_values"])
    for entry in program.state:
        values[entry.name] = _tensor_meta(entry, layouts[_kind(entry)].placed[entry.qualified_name])
    return {
        "graph_module": {
            "graph": {
                "inputs": graph["inputs"],
                "outputs": graph["outputs"],
                "nodes": [_node(node) for node in graph["nodes"]],
                "tensor_values": values,
                "sym_int_values": graph.get("sym_int_values", {}),
                "sym_bool_values": graph.get("sym_bool_values", {}),
                "is_single_tensor_return": False,
                "custom_obj_values": {},
                "sym_float_values": graph.get("sym_float_values", {}),
            },
            "signature": module["signature"],
            "module_call_graph": [entry for entry in module.get("module_call_graph", []) if entry.get("fqn") == ""],
            "metadata": {},
            "treespec_namedtuple_fields": {},
        },
        "opset_version": {"aten": source["opset_version"].get("aten", 10)},
        "range_constraints": source["range_constraints"],
        "schema_version": {"major": 8, "minor": _SCHEMA_MINOR},
        "verifiers": [name for name in source.get("verifiers", []) if name in {"TRAINING", "ATEN"}],
        "torch_version": torch.__version__.partition("+")[0],  # one program for every build of torch
        "guards_code": [],
    }


def _dump(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
