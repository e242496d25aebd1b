"""The house stands as it is described: what a front process loads, who calls what, and how large a room may be.

The order of the folders and what each may import are the contracts in pyproject.toml, which `make lint` holds.
"""

import ast
import functools
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gate import detectors
from gate.detectors.contract import parts
from gate.policies.packaged import DEFAULT, POLICIES

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "gate").rglob("*.py"))
HEAVY = ("torch", "mlflow", "numpy", "sklearn")
FRONT = f"""
import sys
from click.testing import CliRunner
from gate.cli.main import main
runner = CliRunner()
for arguments in (["--help"], ["explain"], ["explain", "neural-cleanse"], ["schema", "policy"], ["schema", "evidence"]):
    result = runner.invoke(main, arguments)
    assert result.exit_code == 0, result.output
import datetime, pathlib
from gate.policies.read import read_policy
read_policy(pathlib.Path({str(DEFAULT)!r}), on=datetime.date(2026, 12, 1))
import gate.check.check, gate.check.publish, gate.registries, gate.worker.repair, gate.remediation.flow
print(sorted(set({HEAVY!r}) & sys.modules.keys()))
"""

RUNS_CODE = {"torch.export.load", "torch.jit.load", "eval", "exec", "pickle.load", "pickle.loads"}
RUNS_CODE_BY_ANY_NAME = {"load_model", "load_checkpoint"}

JAILED = ("worker", "detectors", "search", "statistics", "spaces", "programs")
NETWORK = {"requests", "urllib3", "urllib", "http", "socket"}

ENTRIES, LINES, LINES_OF_MOST_FUNCTIONS = 24, 300, 25
LOOSE = {"__init__.py", "__main__.py", "py.typed"}


@functools.cache
def tree(path):
    """Return a source's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def nodes(path, *kinds):
    """Return the nodes of some kinds in a source."""
    return [node for node in ast.walk(tree(path)) if isinstance(node, kinds)]


def module(path):
    """Return a source's name as Python imports it."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module(path): path for path in SOURCES}


def imported(path):
    """Return what a source imports anywhere, for types and inside functions too; a name of a module as that module."""
    names = {alias.name for node in nodes(path, ast.Import) for alias in node.names}
    for node in nodes(path, ast.ImportFrom):
        wholes = [f"{node.module}.{alias.name}" for alias in node.names]
        names |= {whole if whole in MODULES else node.module for whole in wholes}
    return names


def relative(path):
    """Return a source's path as messages show it."""
    return str(path.relative_to(ROOT))


def test_the_front_loads_no_framework():
    """Help, explanations, schemas and the checking of a policy leave torch, MLflow and NumPy alone."""
    done = subprocess.run(
        [sys.executable, "-c", FRONT], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", detectors.names())
def test_a_detector_has_a_test_a_policy_entry_and_a_docstring(name):
    """Whoever adds a detector adds these three, and there is no list to forget."""
    assert (ROOT / "tests" / "detectors" / f"test_{name.replace('-', '_')}.py").is_file()
    policies = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in POLICIES.glob("*.yml")]
    assert any(name in policy["detectors"] for policy in policies)
    assert all(parts(detectors.load(name).module).values())


def test_no_source_calls_a_loader_that_runs_code():
    """No `load_model` of MLflow, no `torch.export.load`, no `eval` or `exec` is called anywhere in the gate."""
    called = [(relative(path), ast.unparse(node.func)) for path in SOURCES for node in nodes(path, ast.Call)]
    assert len(called) > 1000
    assert [
        (path, name) for path, name in called if name.rpartition(".")[2] in RUNS_CODE_BY_ANY_NAME or name in RUNS_CODE
    ] == []


def test_one_place_alone_unpickles_with_code():
    """Each `torch.load` says whether it may run code, and one module alone may say yes."""
    lenient = []
    for path in SOURCES:
        for node in nodes(path, ast.Call):
            if ast.unparse(node.func) == "torch.load":
                stated = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert stated["weights_only"] in {"True", "False"}
                lenient += [relative(path)] if stated["weights_only"] == "False" else []
    assert lenient == ["gate/worker/loading/modules.py"]


def test_what_runs_in_the_jail_imports_no_network_client():
    """The jail refuses sockets; code that would ask for one has no business there."""
    assert {
        relative(path): found
        for path in SOURCES
        if path.relative_to(ROOT / "gate").parts[0] in JAILED
        if (found := {name.partition(".")[0] for name in imported(path)} & NETWORK)
    } == {}


@pytest.mark.parametrize(
    ("folder", "shared"),
    [
        ("gate.worker.repair.methods.", set()),
        ("gate.detectors.", {"gate.detectors.contract", "gate.detectors.inversion"}),
    ],
)
def test_siblings_know_nothing_of_each_other(folder, shared):
    """A detector or a repair method is added or deleted without a look at another."""
    siblings = {name: path for name, path in MODULES.items() if name.startswith(folder) and name not in shared}
    assert siblings
    known = {name: imported(path) & siblings.keys() for name, path in siblings.items()}
    assert {name: others for name, others in known.items() if others} == {}


def test_no_module_imports_itself_round_a_circle():
    """Imports of every kind have an order: inside functions and for types alone too."""
    graph = {name: (imported(path) & MODULES.keys()) - {name} for name, path in MODULES.items()}
    circle = []
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1]
    assert circle == []


def test_the_root_is_a_table_of_contents():
    """Every duty is a folder; at most 24 entries, and nothing loose but what Python asks for."""
    # A folder without a source is what a checkout of an earlier state left of compiled files.
    entries = [path for path in (ROOT / "gate").iterdir() if path.is_file() or any(path.rglob("*.py"))]
    assert len(entries) <= ENTRIES
    assert {path.name for path in entries if path.is_file()} == LOOSE


def test_files_and_functions_are_small():
    """No file is longer than 300 lines, and nine functions of ten have at most 25."""
    files = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {path: lines for path, lines in files.items() if lines > LINES} == {}
    functions = [node for path in SOURCES for node in nodes(path, ast.FunctionDef, ast.AsyncFunctionDef)]
    lengths = sorted(node.end_lineno - node.lineno + 1 for node in functions)
    assert lengths[len(lengths) * 9 // 10] <= LINES_OF_MOST_FUNCTIONS
