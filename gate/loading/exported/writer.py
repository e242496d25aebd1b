"""Writer of bundles: a program as a `.pt2` archive of JSON and raw tensors that holds nothing a loader would execute.

Only what the strict reader understood is written, in the layout that `torch.export.load` reads too: no stack traces, no
guards, no sample inputs, no names of modules. The same program and tensors always give the same bytes.
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
from gate.loading.exported.reader import read_program
from gate.loading.exported.refused import RefusedError
from gate.loading.exported.schema import DTYPES, STRIDED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate.loading.exported.program import Program
    from gate.loading.exported.schema import StateTensor

_ROOT: Final = "model"
_DTYPE_CODES: Final = {dtype: code for code, dtype in DTYPES.items()}
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_SCHEMA_MINOR: Final = 20


def write_program(program: Program, path: Path) -> None:
    """Write a program to a new archive; one whose texts other loaders might execute is refused.

    The graph is written as it was read: a program whose baked batch size was made free keeps it baked in its bundle.
    """
    if sys.byteorder != "little":
        raise RefusedError("byteorder", "raw records are little-endian; this machine is not")
    document = _document(program)
    hazard = next(lint_document(document), None)
    if hazard is not None:
        raise RefusedError(hazard.where, hazard.what)
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as container:
        for name, content in _members(program, document):
            container.writestr(zipfile.ZipInfo(f"{_ROOT}/{name}", _EPOCH), content)


def export_module(module: torch.nn.Module, example: torch.Tensor, path: Path) -> Program:
    """Export an eval-mode module by torch, with a free batch size if it takes one, and write it as a bundle.

    Tracing runs the module's own code: a candidate's belongs in the converter process, never in the scan worker.
    """
    batch = example if len(example) > 1 else torch.cat([example, example])
    free = ({0: torch.export.Dim("batch")},)
    with tempfile.TemporaryDirectory() as directory:
        draft = Path(directory) / "draft.pt2"
        try:
            exported = torch.export.export(module, (batch,), dynamic_shapes=free)
        except (torch._dynamo.exc.UserError, ValueError, RuntimeError):  # noqa: SLF001  # the exporter's own error
            exported = torch.export.export(module, (example[:1],))
        torch.export.save(exported, draft)
        write_program(read_program(draft), path)
    return read_program(path)


def _members(program: Program, document: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield all members of the archive: tensors first, as the raw records are the bulk of it."""
    persistent = [entry for entry in program.state if entry.persistent]
    others = [entry for entry in program.state if not entry.persistent]
    for kind, prefix, entries in (("weights", "weight", persistent), ("constants", "tensor", others)):
        config: dict[str, Any] = {}
        for entry in entries:
            if entry.qualified_name in config:
                continue
            path_name = f"{prefix}_{len(config)}"
            tensor = program.tensors[entry.name].detach().cpu().contiguous()
            config[entry.qualified_name] = _payload(entry, path_name, tensor)
            yield f"data/{kind}/{path_name}", tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        yield f"data/{kind}/model_{kind}_config.json", _dump({"config": config})
    yield "models/model.json", _dump(document)
    yield "data/sample_inputs/model.pt", b""
    yield "archive_format", b"pt2"
    yield "archive_version", b"0"
    yield "byteorder", b"little"
    yield ".data/version", b"6\n"


def _payload(entry: StateTensor, path_name: str, tensor: torch.Tensor) -> dict[str, Any]:
    """Return the description of a raw record."""
    is_parameter = entry.kind == "parameter"
    meta = _tensor_meta(tensor, requires_grad=is_parameter and tensor.is_floating_point())
    return {"path_name": path_name, "is_param": is_parameter, "use_pickle": False, "tensor_meta": meta}


def _tensor_meta(tensor: torch.Tensor, *, requires_grad: bool) -> dict[str, Any]:
    return {
        "dtype": _DTYPE_CODES[tensor.dtype],
        "sizes": [{"as_int": size} for size in tensor.shape],
        "requires_grad": requires_grad,
        "device": {"type": "cpu", "index": None},
        "strides": [{"as_int": stride} for stride in tensor.stride()],
        "storage_offset": {"as_int": 0},
        "layout": STRIDED,
    }


def _document(program: Program) -> dict[str, Any]:
    """Return the program's JSON, with only what a loader needs to run it."""
    source = program.document
    module = source["graph_module"]
    graph = module["graph"]
    values = dict(graph["tensor_values"])
    for entry in program.state:
        tensor = program.tensors[entry.name].detach().cpu().contiguous()
        values[entry.name] = _tensor_meta(
            tensor, requires_grad=entry.kind == "parameter" and tensor.is_floating_point()
        )
    nodes = [
        {
            "target": node["target"],
            "inputs": node["inputs"],
            "outputs": node["outputs"],
            "metadata": {},
            "is_hop_single_tensor_return": None,
            "name": node.get("name"),
        }
        for node in graph["nodes"]
    ]
    return {
        "graph_module": {
            "graph": {
                "inputs": graph["inputs"],
                "outputs": graph["outputs"],
                "nodes": nodes,
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
        "torch_version": torch.__version__,
        "guards_code": [],
    }


def _dump(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
