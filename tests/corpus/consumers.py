"""Artifacts that look harmless to a scanner of weights and run code in the deployer's loader."""

import functools
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from tests.corpus.case import UNSAFE, Case, hostile, mlmodel
from tests.corpus.pickles import UNEXPECTED, touch
from tests.corpus.zipping import rewritten, torch_zip

CODE = ("consumer-hazards", "code-paths")
LOADER = ("consumer-hazards", "foreign-loaders")
REQUIREMENT = ("consumer-hazards", "foreign-requirements")
FIELD = ("consumer-hazards", "archive-hazards")
UNREADABLE_FILE = ("consumer-hazards", "unreadable-files")
MISSING = ("artifact-integrity", "missing-files")


def module_code(marker: Path) -> bytes:
    """Return Python source that touches the marker when it is imported."""
    return f"from pathlib import Path\nPath({str(marker)!r}).touch()\n".encode()


@functools.cache
def exported() -> bytes:
    """Return a small exported program, as torch writes it."""
    import torch
    from torch import nn

    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    example = torch.zeros(2, 3, 8, 8)
    dynamic = ({0: torch.export.Dim("batch", min=1, max=64)},)
    out = io.BytesIO()
    torch.export.save(torch.export.export(network.eval(), (example,), dynamic_shapes=dynamic), out)
    return out.getvalue()


def member(raw: bytes, suffix: str) -> Any:
    """Return a JSON member of an exported program."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return json.loads(archive.read(next(name for name in archive.namelist() if name.endswith(suffix))))


def _program(change: Any, members: dict[str, bytes] | None = None) -> dict[str, bytes]:
    """Return an exported program whose JSON was changed in place, and with other members replaced."""
    raw = exported()
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        name = next(name for name in archive.namelist() if "/models/" in name)
    value = member(raw, name)
    change(value)
    suffix = name.partition("/")[2]
    return {"data/model.pt2": rewritten(raw, {suffix: json.dumps(value).encode(), **(members or {})})}


def _code(marker: Path) -> str:
    """Return an expression that touches the marker when it is evaluated."""
    return f"__import__('pathlib').Path({str(marker)!r}).touch()"


def _add_guard(value: Any, marker: Path) -> None:
    value["guards_code"] = [f"{_code(marker)} is None"]


def _add_expression(value: Any, marker: Path) -> None:
    """Put the code in the place of the first symbolic size."""
    tensors = value["graph_module"]["graph"]["tensor_values"].values()
    sizes = next(tensor["sizes"] for tensor in tensors if any("as_expr" in size for size in tensor["sizes"]))
    sizes[0] = {"as_expr": {"expr_str": _code(marker), "hint": None}}


def _add_import(value: Any, _: Path) -> None:
    """Name a module to import in the description of the arguments."""
    context = json.dumps([{"__enum__": True, "fqn": "antigravity:a", "name": "b"}])
    spec = [1, {"type": "builtins.dict", "context": context, "children_spec": []}]
    value["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps(spec)


def _add_node_name(value: Any, marker: Path) -> None:
    value["graph_module"]["graph"]["nodes"][0]["name"] = f"x={_code(marker)}"


def every_ignored_field(marker: Path) -> dict[str, bytes]:
    """Return an exported program with code in every field that the strict reader has no need of."""

    def change(value: Any) -> None:
        for add in (_add_guard, _add_expression, _add_import, _add_node_name):
            add(value, marker)

    return _program(change, {"sample_inputs/model.pt": torch_zip(touch(marker))})


def _node_name(marker: Path) -> dict[str, bytes]:
    name = f"x={_code(marker)}"

    def change(value: Any) -> None:
        value["graph_module"]["graph"]["inputs"][-1]["as_tensor"]["name"] = name

    return _program(change)


def _target(_: Path) -> dict[str, bytes]:
    def change(value: Any) -> None:
        value["graph_module"]["graph"]["nodes"][0]["target"] = "torch.os.system"

    return _program(change)


def _pickled_weight(marker: Path) -> dict[str, bytes]:
    raw = exported()
    config = member(raw, "weights_config.json")
    next(iter(config["config"].values()))["use_pickle"] = True
    changes = {"weights_config.json": json.dumps(config).encode(), "weight_0": torch_zip(touch(marker))}
    return {"data/model.pt2": rewritten(raw, changes)}


def _opaque(marker: Path) -> dict[str, bytes]:
    constant = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    changes = {
        "constants_config.json": json.dumps({"config": {"c": constant}}).encode(),
        "data/constants/opaque_obj_0": touch(marker),
    }
    return {"data/model.pt2": rewritten(exported(), changes)}


def _changed(changes: dict[str, bytes | None]) -> dict[str, bytes]:
    return {"data/model.pt2": rewritten(exported(), changes)}


_ARCHIVES = (
    ("weight", "a weight stored as a pickle", _pickled_weight, (FIELD, UNSAFE)),
    ("opaque", "an opaque constant stored as a pickle", _opaque, (FIELD, UNSAFE)),
    (
        "samples",
        "sample inputs that are a pickle",
        lambda m: _changed({"sample_inputs/model.pt": torch_zip(touch(m))}),
        (FIELD, UNSAFE),
    ),
    (
        "expression",
        "a size that is an expression to be evaluated",
        lambda m: _program(lambda value: _add_expression(value, m)),
        (FIELD,),
    ),
    (
        "guards",
        "a guard that is code to be executed",
        lambda m: _program(lambda value: _add_guard(value, m)),
        (FIELD,),
    ),
    (
        "own-names",
        "a node's own name that is code",
        lambda m: _program(lambda value: _add_node_name(value, m)),
        (FIELD,),
    ),
    (
        "imports",
        "a container of arguments that names a module to import",
        lambda m: _program(lambda value: _add_import(value, m)),
        (FIELD,),
    ),
    ("names", "a node's name that is code", _node_name, (FIELD,)),
    ("target", "a node's target outside the operators", _target, (FIELD,)),
    ("library", "a compiled library", lambda _: _changed({"data/aotinductor/model/m.so": b"\x7fELF"}), (FIELD,)),
    (
        "no-json",
        "a program that is no JSON",
        lambda _: _changed({"models/model.json": b'{"a": NaN}'}),
        (UNREADABLE_FILE,),
    ),
)
_LOADER = "loader_module: mlflow.pytorch"
_MODELS = (
    (
        "code-paths",
        "code put on the import path",
        lambda m: {"MLmodel": mlmodel("code: null", "code: code"), "code/numpy.py": module_code(m)},
        (CODE,),
    ),
    (
        "model-code",
        "a model that is a Python file",
        lambda m: {
            "MLmodel": mlmodel(_LOADER, "loader_module: mlflow.pyfunc.model\n    model_code_path: model.py"),
            "model.py": module_code(m),
        },
        (CODE, LOADER, UNEXPECTED),
    ),
    (
        "loader-module",
        "a loader module of the artifact's own",
        lambda m: {"MLmodel": mlmodel(_LOADER, "loader_module: charger"), "charger.py": module_code(m)},
        (LOADER, UNEXPECTED),
    ),
    (
        "python-model",
        "a Python model in a pickle",
        lambda m: {
            "MLmodel": mlmodel(_LOADER, "loader_module: mlflow.pyfunc.model\n    python_model: python_model.pkl"),
            "python_model.pkl": touch(m),
        },
        (LOADER, UNSAFE),
    ),
    (
        "own-flavour",
        "a flavour that nobody knows",
        lambda _: {"MLmodel": mlmodel("  pytorch:\n", "  charger:\n    x: 1\n  pytorch:\n")},
        (LOADER,),
    ),
    (
        "pickle-module",
        "a pickle module of the artifact's own",
        lambda m: {"data/pickle_module_info.txt": b"charger", "charger.py": module_code(m)},
        (LOADER, UNEXPECTED),
    ),
    (
        "trusted-types",
        "types that the artifact itself trusts",
        lambda _: {"MLmodel": mlmodel("code: null", "skops_trusted_types: [posix.system]")},
        (LOADER,),
    ),
    (
        "aliases",
        "an MLmodel of aliases",
        lambda _: {"MLmodel": b"a: &a [1, 2]\nflavors: {b: {c: *a}}\n"},
        (UNREADABLE_FILE,),
    ),
    (
        "yaml-tag",
        "an MLmodel with a Python tag",
        lambda m: {"MLmodel": f"flavors: !!python/object/apply:os.system ['touch {m}']\n".encode()},
        (UNREADABLE_FILE, MISSING),
    ),
    (
        "duplicate-keys",
        "an MLmodel with two flavours of one name",
        lambda _: {"MLmodel": b"flavors: {}\nflavors: {}\n"},
        (UNREADABLE_FILE,),
    ),
    (
        "no-data",
        "data that are declared and absent",
        lambda _: {"MLmodel": mlmodel("model_data: data", "model_data: elsewhere")},
        (MISSING,),
    ),
    (
        "walks-out",
        "data declared outside the artifact",
        lambda _: {"MLmodel": mlmodel("model_data: data", "model_data: ../../etc")},
        (MISSING,),
    ),
)
_LINES = {
    "url": b"https://example.org/charger.whl\n",
    "git": b"git+https://example.org/charger.git\n",
    "direct": b"charger @ https://example.org/charger.whl\n",
    "index": b"--index-url https://example.org/simple\nmlflow\n",
    "find-links": b"-f wheels\nmlflow\n",
    "editable": b"-e .\n",
    "path": b"./charger\n",
    "continued": b"mlflow --extra-index-\\\nurl https://example.org\n",
}


def consumer_cases() -> tuple[Case, ...]:
    """Return the cases on deployers' loaders."""
    archives = (hostile(f"exported-{name}", *rest[:2], *rest[2]) for name, *rest in _ARCHIVES)
    models = (hostile(f"mlmodel-{name}", *rest[:2], *rest[2]) for name, *rest in _MODELS)
    lines = (
        hostile(
            f"requirement-{name}",
            "a requirement from elsewhere",
            lambda _, line=line: {"requirements.txt": line},
            REQUIREMENT,
        )
        for name, line in _LINES.items()
    )
    files = (
        hostile(
            "requirement-channel",
            "a conda channel from elsewhere",
            lambda _: {"conda.yaml": b"channels: [https://example.org]\ndependencies: [python=3.11]\n"},
            REQUIREMENT,
        ),
        hostile(
            "requirement-build",
            "a build dependency from elsewhere",
            lambda _: {"python_env.yaml": b"python: 3.11.7\nbuild_dependencies: ['pip @ file:///tmp/pip.whl']\n"},
            REQUIREMENT,
        ),
    )
    return (*archives, *models, *lines, *files)
