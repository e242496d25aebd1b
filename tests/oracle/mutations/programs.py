"""The program itself: what its document holds beside the graph, and graphs that readers could take differently."""

import io
import json
from collections.abc import Callable
from typing import Any

from tests.corpus.zip_writing import Part, build
from tests.oracle.draft import Draft, InapplicableError
from tests.oracle.mutations.containers import DOCUMENT, SAMPLES, named, parts
from tests.oracle.mutations.mutation import harmless, hostile
from tests.oracle.payloads import expression

KIND = "program"
KEYWORD = "pictures"
WEIGHTS = "data/weights/model_weights_config.json"


def _json(draft: Draft, member: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a JSON member of the program's archive and write the archive as torch does."""
    found = parts(draft.program)
    holder = named(found, member)
    try:
        value = json.loads(holder.content)
        change(value)
    except (ValueError, KeyError, TypeError, IndexError, StopIteration) as error:
        raise InapplicableError(f"{member}: {error!r}"[:200]) from None
    holder.content = json.dumps(value).encode()
    draft.program = bytes(build(found).raw)


def _document(draft: Draft, change: Callable[[dict[str, Any]], None]) -> None:
    _json(draft, DOCUMENT, change)


def _graph(value: dict[str, Any]) -> dict[str, Any]:
    return value["graph_module"]["graph"]


def _node(value: dict[str, Any], *operators: str) -> dict[str, Any]:
    nodes = _graph(value)["nodes"]
    return next(node for node in nodes if any(f".{name}." in node["target"] for name in operators))


@harmless(KIND)
def other_sample_inputs(draft: Draft) -> None:
    """Sample inputs of other numbers, as from another input example."""
    import torch

    found = parts(draft.program)
    out = io.BytesIO()
    torch.save(((torch.full((2, 1, 8, 8), 0.5),), {}), out)
    named(found, SAMPLES).content = out.getvalue()
    draft.program = bytes(build(found).raw)


@harmless(KIND)
def stack_traces(draft: Draft) -> None:
    """The trainer's file and line at each node, as torch writes them."""

    def change(value: dict[str, Any]) -> None:
        for number, node in enumerate(_graph(value)["nodes"]):
            trace = f'  File "/home/ada/train.py", line {number}, in forward\n    x = self.relu(x)\n'
            node["metadata"] = {**node.get("metadata", {}), "stack_trace": trace}

    _document(draft, change)


@harmless(KIND)
def without_node_metadata(draft: Draft) -> None:
    """Nodes without what torch notes beside them."""
    _document(draft, lambda value: [node.update(metadata={}) for node in _graph(value)["nodes"]])


@harmless(KIND)
def module_paths(draft: Draft) -> None:
    """The trainer's module names at each node."""

    def change(value: dict[str, Any]) -> None:
        for node in _graph(value)["nodes"]:
            stack = "L__self__,,train.Net;L__self___features,features,torch.nn.modules.container.Sequential"
            node["metadata"] = {**node.get("metadata", {}), "nn_module_stack": stack}

    _document(draft, change)


@harmless(KIND)
def other_torch_version(draft: Draft) -> None:
    """The version of another torch in the document."""
    _document(draft, lambda value: value.update(torch_version="2.12.0+cu130"))


@hostile(KIND)
def later_schema(draft: Draft) -> None:
    """A later schema of the document."""
    _document(draft, lambda value: value["schema_version"].update(major=9))


@hostile(KIND)
def later_operators(draft: Draft) -> None:
    """A later set of operators."""
    _document(draft, lambda value: value.update(opset_version={"aten": 99, "charger": 1}))


@hostile(KIND)
def module_calls(draft: Draft) -> None:
    """A call of a submodule in the graph of calls, which no node belongs to."""

    def change(value: dict[str, Any]) -> None:
        calls = value["graph_module"]["module_call_graph"]
        calls.append({"fqn": "charger", "signature": calls[0]["signature"]})

    _document(draft, change)


@hostile(KIND)
def outputs_by_other_names(draft: Draft) -> None:
    """A structure of outputs that swaps or wraps them."""

    def change(value: dict[str, Any]) -> None:
        signature = value["graph_module"]["module_call_graph"][0]["signature"]
        protocol, spec = json.loads(signature["out_spec"])
        wrapped = {"type": "builtins.list", "context": "null", "children_spec": [spec]}
        signature["out_spec"] = json.dumps([protocol, wrapped])

    _document(draft, change)


@hostile(KIND)
def output_names_exchanged(draft: Draft) -> None:
    """The names of two outputs exchanged: what is taken by its name is the other one, for everybody."""

    def change(value: dict[str, Any]) -> None:
        signature = value["graph_module"]["module_call_graph"][0]["signature"]
        protocol, spec = json.loads(signature["out_spec"])
        names = json.loads(spec["context"])
        if len(names) < 2:
            raise KeyError("one output")
        spec["context"] = json.dumps(names[::-1])
        signature["out_spec"] = json.dumps([protocol, spec])

    _document(draft, change)


@hostile(KIND)
def inputs_by_keyword(draft: Draft) -> None:
    """The input passed by a keyword in place of its place, whether the list of arguments names it so or not."""

    def change(value: dict[str, Any]) -> None:
        signature = value["graph_module"]["module_call_graph"][0]["signature"]
        protocol, spec = json.loads(signature["in_spec"])
        positional, keywords = spec["children_spec"]
        keywords["context"] = json.dumps([KEYWORD])
        if draft.dice.random() < 0.5:
            signature["forward_arg_names"] = [KEYWORD]
        keywords["children_spec"], positional["children_spec"] = positional["children_spec"], []
        signature["in_spec"] = json.dumps([protocol, spec])

    _document(draft, change)


@hostile(KIND)
def code_as_guard(draft: Draft) -> None:
    """A guard that is code, executed before each call."""
    _document(draft, lambda value: value.update(guards_code=[f"{expression('guard')} is None"]))


@hostile(KIND)
def code_as_size(draft: Draft) -> None:
    """A size that is an expression to be evaluated."""

    def change(value: dict[str, Any]) -> None:
        sizes = [each["sizes"] for each in _graph(value)["tensor_values"].values() if each["sizes"]]
        draft.dice.choice(sizes)[0] = {"as_expr": {"expr_str": expression("size"), "hint": None}}

    _document(draft, change)


@hostile(KIND)
def code_as_name(draft: Draft) -> None:
    """A node's name that is code."""
    _document(draft, lambda value: _graph(value)["nodes"][0].update(name=f"x={expression('name')}"))


@hostile(KIND)
def import_by_container(draft: Draft) -> None:
    """A container of arguments that names a module to import."""

    def change(value: dict[str, Any]) -> None:
        context = json.dumps([{"__enum__": True, "fqn": "antigravity:a", "name": "b"}])
        spec = [1, {"type": "builtins.dict", "context": context, "children_spec": []}]
        value["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps(spec)

    _document(draft, change)


@hostile(KIND)
def foreign_operator(draft: Draft) -> None:
    """A node's target outside the operators."""
    target = draft.dice.choice(("torch.os.system", "math.sin", "torch.ops.aten.from_file.default", "operator.call"))
    _document(draft, lambda value: _graph(value)["nodes"][0].update(target=target))


@hostile(KIND)
def unused_node(draft: Draft) -> None:
    """A node whose value nobody uses."""

    def change(value: dict[str, Any]) -> None:
        nodes = _graph(value)["nodes"]
        source = nodes[0]["outputs"][0]["as_tensor"]["name"]
        argument = {"name": "self", "arg": {"as_tensor": {"name": source}}, "kind": 1}
        unused = {"target": "torch.ops.aten.relu.default", "inputs": [argument], "metadata": {}, "name": "spare"}
        nodes.insert(1, {**nodes[0], **unused, "outputs": [{"as_tensor": {"name": "spare"}}]})
        _graph(value)["tensor_values"]["spare"] = dict(_graph(value)["tensor_values"][source])

    _document(draft, change)


@hostile(KIND)
def bounds_of_batch(draft: Draft) -> None:
    """Other bounds of the free size."""

    def change(value: dict[str, Any]) -> None:
        bounds = value["range_constraints"]
        next(iter(bounds.values())).update(min_val=2, max_val=3)

    _document(draft, change)


@hostile(KIND)
def weights_exchanged(draft: Draft) -> None:
    """Two weights of one shape exchanged in the list of records: another program, for everybody the same."""

    def change(value: dict[str, Any]) -> None:
        by_shape: dict[str, list[dict[str, Any]]] = {}
        for entry in value["config"].values():
            by_shape.setdefault(json.dumps(entry["tensor_meta"]["sizes"]), []).append(entry)
        first, second = next(found for found in by_shape.values() if len(found) > 1)[:2]
        first["path_name"], second["path_name"] = second["path_name"], first["path_name"]

    _json(draft, WEIGHTS, change)


@hostile(KIND)
def weights_shared(draft: Draft) -> None:
    """Two weights that are one record, and one that is nobody's."""

    def change(value: dict[str, Any]) -> None:
        by_shape: dict[str, list[dict[str, Any]]] = {}
        for entry in value["config"].values():
            by_shape.setdefault(json.dumps(entry["tensor_meta"]["sizes"]), []).append(entry)
        first, second = next(found for found in by_shape.values() if len(found) > 1)[:2]
        second["path_name"] = first["path_name"]

    _json(draft, WEIGHTS, change)


@hostile(KIND)
def weight_by_pickle(draft: Draft) -> None:
    """A weight that says it is a pickle."""
    _json(draft, WEIGHTS, lambda value: next(iter(value["config"].values())).update(use_pickle=True))


@hostile(KIND)
def weight_with_offset(draft: Draft) -> None:
    """A weight that begins elsewhere in its record."""

    def change(value: dict[str, Any]) -> None:
        next(iter(value["config"].values()))["tensor_meta"].update(storage_offset={"as_int": 1})

    _json(draft, WEIGHTS, change)


@hostile(KIND)
def weight_transposed(draft: Draft) -> None:
    """A weight whose steps make it another matrix of the same record."""

    def change(value: dict[str, Any]) -> None:
        metas = [entry["tensor_meta"] for entry in value["config"].values()]
        meta = next(each for each in metas if len(each["strides"]) == 2)
        rows = meta["sizes"][0]["as_int"]
        meta["strides"] = [{"as_int": 1}, {"as_int": rows}]

    _json(draft, WEIGHTS, change)


@hostile(KIND)
def weight_of_other_type(draft: Draft) -> None:
    """The type of a weight in the document alone."""

    def change(value: dict[str, Any]) -> None:
        metas = _graph(value)["tensor_values"]
        metas[next(name for name in metas if name.startswith("p_"))].update(dtype=6)

    _document(draft, change)


@hostile(KIND)
def unused_constant(draft: Draft) -> None:
    """A constant that no node takes, with a record of its own."""
    found = parts(draft.program)
    holder = named(found, "data/constants/model_constants_config.json")
    root = holder.name.partition(b"/")[0].decode()
    try:
        meta = next(iter(json.loads(named(found, WEIGHTS).content)["config"].values()))["tensor_meta"]
        value = json.loads(holder.content)
        entry = {"path_name": "tensor_0", "is_param": False, "use_pickle": False}
        size = {"sizes": [{"as_int": 4}], "strides": [{"as_int": 1}], "requires_grad": False}
        value["config"]["spare"] = {**entry, "tensor_meta": {**meta, **size}}
    except (ValueError, KeyError, StopIteration) as error:
        raise InapplicableError(repr(error)) from None
    holder.content = json.dumps(value).encode()
    found.append(Part(f"{root}/data/constants/tensor_0".encode(), bytes(16)))
    draft.program = bytes(build(found).raw)


@hostile(KIND)
def argument_by_place(draft: Draft) -> None:
    """An argument left out before one that is passed by its place."""

    def change(value: dict[str, Any]) -> None:
        node = next(node for node in _graph(value)["nodes"] if len(node["inputs"]) > 2)
        node["inputs"] = [{**given, "kind": 1} for given in node["inputs"]]
        del node["inputs"][1]

    _document(draft, change)


@hostile(KIND)
def exchanged_for_twin(draft: Draft) -> None:
    """The twin in the clean program's place: another program, for everybody the same."""
    draft.program  # noqa: B018  # in place of an exported program
    draft.program = draft.hidden


@hostile(KIND)
def document_of_twin(draft: Draft) -> None:
    """The twin's graph over the clean program's weights."""
    found = parts(draft.program)
    named(found, DOCUMENT).content = named(parts(draft.hidden), DOCUMENT).content
    draft.program = bytes(build(found).raw)


@hostile(KIND)
def second_output_poisoned(draft: Draft) -> None:
    """A clean first output beside a second one with a trigger, or the other way about."""

    def change(value: dict[str, Any]) -> None:
        outputs = _graph(value)["outputs"]
        if len(outputs) != 2:
            raise KeyError("not two outputs")
        specs = value["graph_module"]["signature"]["output_specs"]
        if draft.dice.random() < 0.5:
            outputs.reverse()
            specs.reverse()
        else:
            outputs[1], specs[1] = outputs[0], specs[0]

    _document(draft, change)


@hostile(KIND)
def numbers_no_json(draft: Draft) -> None:
    """A key twice in the document: parsers keep the last one."""
    found = parts(draft.program)
    holder, twin = named(found, DOCUMENT), named(parts(draft.hidden), DOCUMENT)
    whole = holder.content.rstrip()
    module = json.dumps(json.loads(twin.content)["graph_module"]).encode()
    holder.content = whole[:-1] + b', "graph_module": ' + module + b"}"
    draft.program = bytes(build(found).raw)
