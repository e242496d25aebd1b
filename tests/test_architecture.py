"""The house stands as it is described: imports, the folder of detectors, and what a front process loads."""

import ast
import subprocess
import sys
import tomllib
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
print(sorted({HEAVY!r} & sys.modules.keys()))
""".replace(f"{HEAVY!r} &", f"set({HEAVY!r}) &")


def python(code):
    """Run code in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_front_loads_no_framework():
    """Help, explanations, schemas and the checking of a policy leave torch, MLflow and NumPy alone."""
    assert python(FRONT) == "[]"


def test_the_import_contracts_are_kept():
    """Every contract of pyproject.toml holds."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    code = "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])"
    assert f"{len(contracts)} kept, 0 broken" in python(code)


@pytest.mark.parametrize("name", detectors.names())
def test_a_detector_has_a_test_a_policy_entry_and_a_docstring(name):
    """Whoever adds a detector adds these three, and there is no list to forget."""
    assert (ROOT / "tests" / "detectors" / f"test_{name.replace('-', '_')}.py").is_file()
    policies = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in POLICIES.glob("*.yml")]
    assert any(name in policy["detectors"] for policy in policies)
    assert all(parts(detectors.load(name).module).values())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_calls_a_loader_that_runs_code(path):
    """No `load_model` of MLflow, no `torch.export.load`, no `eval` or `exec` is called anywhere in the gate."""
    called = [
        ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)
    ]
    assert not [
        name
        for name in called
        if name.rpartition(".")[2] in {"load_model", "load_checkpoint"}
        or name in {"torch.export.load", "torch.jit.load", "eval", "exec", "pickle.load", "pickle.loads"}
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_says_where_it_stands(path):
    """Every module has a docstring."""
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


def test_one_place_alone_unpickles_with_code():
    """Each `torch.load` says whether it may run code, and one module alone may say yes."""
    lenient = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                stated = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert stated["weights_only"] in {"True", "False"}
                lenient += [str(path.relative_to(ROOT))] if stated["weights_only"] == "False" else []
    assert lenient == ["gate/worker/loading/modules.py"]
