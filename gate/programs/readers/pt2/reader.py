"""The strict reader: from the path of an archive to a `Program`, or to one `RefusedError`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gate.programs import advice
from gate.programs.nodes import build_nodes
from gate.programs.operators import HIGHER_ORDER, unlisted
from gate.programs.program import Program
from gate.programs.readers.pt2.archive import CONSTANTS, MODEL, WEIGHTS, Archive, open_archive
from gate.programs.readers.pt2.arguments import read_argument, read_output
from gate.programs.readers.pt2.cursor import Cursor
from gate.programs.readers.pt2.inlining import NODE, graph_fields, inlined
from gate.programs.readers.pt2.outputs import MAX_OUTPUTS, in_plain_containers, output_paths
from gate.programs.readers.pt2.tensors import read_tensors
from gate.programs.refused import RefusedError
from gate.programs.schema import (
    MAX_NODES,
    SCHEMA_MAJOR,
    InputTensor,
    NodeRecord,
    ProgramRecord,
    StateTensor,
    read_input,
)
from gate.records.errors import GateError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gate.programs.readers.pt2.tensors import Stored

_DOCUMENT = (
    ("graph_module", "opset_version", "range_constraints", "schema_version"),
    ("verifiers", "torch_version", "guards_code"),
)
_MODULE = (("graph", "signature"), ("module_call_graph", "metadata", "treespec_namedtuple_fields"))
_STATISTICS = frozenset({"num_batches_tracked", "running_mean", "running_var"})
"""Buffers that batch normalisation changes in training mode alone."""


def read_program(path: Path) -> Program:
    """Read a `.pt2` archive of unknown origin on the CPU; every fault in it raises `RefusedError`."""
    try:
        with open_archive(path) as archive:
            return _read(archive)
    except RefusedError:
        raise
    except GateError as error:
        raise RefusedError(path.name, str(error)) from error
    except Exception as error:
        # Hostile bytes reach the zip and tensor libraries; any error of theirs means that the archive cannot be read.
        raise RefusedError(path.name, f"cannot be read: {type(error).__name__}: {error}") from error


def _read(archive: Archive) -> Program:
    document, returned = in_plain_containers(inlined(archive.json(MODEL)))
    record = read_document(Cursor(document, MODEL))
    weights = read_tensors(archive, WEIGHTS)
    constants = read_tensors(archive, CONSTANTS)
    stored = {entry.name: _stored(entry, weights, constants) for entry in record.state}
    return Program(
        inputs=record.inputs,
        nodes=build_nodes(record),
        output_names=record.outputs,
        output_paths=record.output_paths,
        state=tuple(replace(entry, requires_grad=stored[entry.name].requires_grad) for entry in record.state),
        tensors={name: found.tensor for name, found in stored.items()},
        document=document,
        returned=returned,
    )


def _stored(entry: StateTensor, weights: Mapping[str, Stored], constants: Mapping[str, Stored]) -> Stored:
    """Return the tensor behind a parameter, buffer or constant."""
    stored = (weights if entry.persistent else constants).get(entry.qualified_name)
    if stored is None:
        raise RefusedError(entry.name, f"the archive holds no tensor for the {entry.kind} {entry.qualified_name!r}")
    return stored


def read_document(cursor: Cursor) -> ProgramRecord:
    """Read the JSON of a program into frozen records."""
    document = cursor.object(*_DOCUMENT)
    version = document["schema_version"].object(("major", "minor"))
    if version["major"].integer() != SCHEMA_MAJOR:
        raise version["major"].refuse(f"schema version {version['major'].value}; {SCHEMA_MAJOR} is read")
    module = document["graph_module"].object(*_MODULE)
    graph = graph_fields(module["graph"])
    signature = module["signature"].object(("input_specs", "output_specs"))
    names = [_input_name(item) for item in graph["inputs"].items()]
    specs = signature["input_specs"].items()
    if len(names) != len(specs):
        raise signature["input_specs"].refuse(f"{len(specs)} specifications for {len(names)} inputs")
    inputs: list[InputTensor] = []
    state: list[StateTensor] = []
    metas = dict(graph["tensor_values"].mapping())
    for name, spec in zip(names, specs, strict=True):
        entry = _input_spec(spec, name, metas)
        (inputs if isinstance(entry, InputTensor) else state).append(entry)  # type: ignore[arg-type]
    if not inputs:
        raise signature["input_specs"].refuse("the program takes no tensor", what_to_do=advice.INPUTS)
    if ambiguous := _ambiguous_name(state):
        raise signature["input_specs"].refuse(ambiguous)
    outputs = _outputs(graph["outputs"], signature["output_specs"])
    return ProgramRecord(
        inputs=tuple(inputs),
        state=tuple(state),
        nodes=tuple(_node(item) for item in graph["nodes"].items(MAX_NODES)),
        outputs=outputs,
        output_paths=output_paths(module.get("module_call_graph"), len(outputs)),
    )


def _ambiguous_name(state: Sequence[StateTensor]) -> str:
    """Return why two tensors could be mistaken for each other, or nothing.

    Other loaders put all of them into one module, under their qualified names: the last one of a name, or of one that
    differs in a call's number alone (`fc@1.weight`), replaces the others of either list.
    """
    kinds: dict[str, tuple[str, bool]] = {}
    for entry in state:
        if "@" in entry.qualified_name:
            return f"the name {entry.qualified_name!r} holds an @, by which other loaders find another module"
        if kinds.setdefault(entry.qualified_name, (entry.kind, entry.persistent)) != (entry.kind, entry.persistent):
            return f"{entry.qualified_name!r} names two tensors; other loaders keep one of them for both"
    return ""


def _tensor_name(argument: Cursor) -> str:
    """Return the name in an argument that must be a tensor."""
    kind, value = argument.union()
    if kind != "as_tensor":
        raise argument.refuse(f"expected a tensor, got {kind!r}")
    return value.object(("name",))["name"].identifier()


def _input_name(argument: Cursor) -> str:
    """Return the name of a tensor that the graph takes; any other argument is refused by its kind."""
    kind, _ = argument.union()
    if kind != "as_tensor":
        raise argument.refuse(f"the program takes an argument that is no tensor ({kind!r})", what_to_do=advice.INPUTS)
    return _tensor_name(argument)


def _input_spec(spec: Cursor, name: str, metas: Mapping[str, Cursor]) -> InputTensor | StateTensor:
    """Return what an input of the graph is: passed by the caller, or part of the program's state."""
    kind, value = spec.union()
    if kind == "user_input":
        given = _tensor_name(value.object(("arg",))["arg"])
        entry: InputTensor | StateTensor
        if given not in metas:
            raise spec.refuse(f"no shape is given for {given}")
        entry = read_input(given, metas[given])
    elif kind == "parameter":
        fields = value.object(("arg", "parameter_name"))
        entry = _state(fields, "parameter", "parameter_name", persistent=True)
    elif kind == "buffer":
        fields = value.object(("arg", "buffer_name", "persistent"))
        entry = _state(fields, "buffer", "buffer_name", persistent=fields["persistent"].boolean())
    elif kind == "tensor_constant":
        fields = value.object(("arg", "tensor_constant_name"))
        entry = _state(fields, "constant", "tensor_constant_name", persistent=False)
    else:
        raise spec.refuse(f"an input of the kind {kind!r} is not read", what_to_do=advice.INPUTS)
    if entry.name != name:
        raise spec.refuse(f"specifies {entry.name}, where the graph has {name}")
    return entry


def _state(fields: Mapping[str, Cursor], kind: str, key: str, *, persistent: bool) -> StateTensor:
    name = fields["arg"].object(("name",))["name"].identifier()
    return StateTensor(name, kind, fields[key].string(), persistent)


def _node(cursor: Cursor) -> NodeRecord:
    """Return one node of the graph; its metadata is not read."""
    fields = cursor.object(*NODE)
    target = fields["target"].string()
    if target.startswith(HIGHER_ORDER):
        raise unlisted(target, f"nodes[{cursor.key}]")  # the graph among its arguments is not the reason
    return NodeRecord(
        target=target,
        arguments=tuple(read_argument(item) for item in fields["inputs"].items()),
        outputs=tuple(read_output(item) for item in fields["outputs"].items()),
        where=f"nodes[{cursor.key}]",
    )


def _changing(spec: Cursor, kind: str, value: Cursor) -> RefusedError:
    """Return the refusal of a graph that writes to its buffers, parameters or inputs, with advice by the buffer."""
    name = value.value.get("buffer_name") if isinstance(value.value, dict) else None
    statistic = isinstance(name, str) and name.rpartition(".")[2] in _STATISTICS
    what = f"the graph changes its own state or inputs ({kind}{f' of {name!r}' if isinstance(name, str) else ''})"
    return spec.refuse(what, what_to_do=advice.TRAINING if statistic else advice.COUNTING)


def _outputs(outputs: Cursor, specs: Cursor) -> tuple[str, ...]:
    """Return the names of the outputs; a graph that changes its buffers, parameters or inputs is refused."""
    names = [_tensor_name(item) for item in outputs.items(MAX_OUTPUTS)]
    given = specs.items()
    if len(names) != len(given) or not names:
        raise specs.refuse(f"{len(given)} specifications for {len(names)} outputs")
    for name, spec in zip(names, given, strict=True):
        kind, value = spec.union()
        if kind != "user_output":
            raise _changing(spec, kind, value)
        if _tensor_name(value.object(("arg",))["arg"]) != name:
            raise spec.refuse(f"specifies another value than the graph's {name}")
    return tuple(names)
