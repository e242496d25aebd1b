"""One network exported as MLflow does it: its operators, and its archive without numbers."""

import base64
import json
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.architectures.networks import Network

_RECORDS: Final = ("data/weights/weight_", "data/constants/tensor_")
_WHOLE_NUMBERS: Final = frozenset({1, 2, 3, 4, 5, 12})
"""Codes of types whose values say where something is, and cannot be drawn anew."""


def exported(network: Network, *, free: bool) -> torch.export.ExportedProgram:
    """Export a network in eval mode, for one picture or for any number of them."""
    torch.manual_seed(0)
    model, side = network.make()
    pictures = torch.rand(2 if free else 1, 3, side, side)
    shapes = ({0: torch.export.Dim("batch")},) if free else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(model.eval(), (pictures,), dynamic_shapes=shapes)


def operators(program: torch.export.ExportedProgram) -> list[str]:
    """Return the targets that an archive of the program names, those of regions included."""
    found = set()
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            if node.op == "call_function":
                found.add(_target(node.target))
    return sorted(found - {"_operator.getitem"})  # an archive names results in place of taking them apart


def _target(target: Any) -> str:
    if isinstance(target, torch._ops.OpOverload):  # noqa: SLF001  # torch gives the class no public name
        return "torch.ops." + str(target).replace("::", ".")
    if isinstance(target, torch._ops.HigherOrderOperator):  # noqa: SLF001  # likewise
        return f"torch.ops.higher_order.{target.__name__}"
    return f"{target.__module__}.{target.__name__}"


def skeleton(program: torch.export.ExportedProgram) -> dict[str, Any]:
    """Return the members of the program's archive: texts as they are, of weights the length, of indices the bytes."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.pt2"
        torch.export.save(program, path)
        with zipfile.ZipFile(path) as archive:
            members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    whole = {
        f"data/{kind}/{payload['path_name']}"
        for kind in ("weights", "constants")
        for payload in json.loads(members[f"data/{kind}/model_{kind}_config.json"])["config"].values()
        if payload["tensor_meta"]["dtype"] in _WHOLE_NUMBERS
    }
    kept: dict[str, Any] = {}
    for name, content in members.items():
        if name.startswith(_RECORDS) and name not in whole:
            kept[name] = len(content)
        elif name == "models/model.json":
            kept[name] = json.dumps(_without_traces(json.loads(content)), separators=(",", ":"))
        elif name != "data/sample_inputs/model.pt":
            kept[name] = {"base64": base64.b64encode(content).decode()} if name in whole else content.decode()
    return kept


def _without_traces(value: Any) -> Any:
    """Return a program's JSON without stack traces and the names of modules that nodes came from."""
    if isinstance(value, list):
        return [_without_traces(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: {} if key == "metadata" else _without_traces(item) for key, item in value.items()}
