"""The benchmarks use the gate and its tests; nothing of the product uses the benchmarks."""

import ast
import tomllib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1]
ROOT = BENCHMARKS.parent


def imported(path):
    """Yield the first part of every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("folder", ["gate", "demo", "docker", "tests"])
def test_the_product_imports_no_benchmark(folder):
    """Its wheel, its demo, its image and its tests stand without this distribution."""
    sources = list((ROOT / folder).rglob("*.py"))
    assert sources
    assert not [str(path.relative_to(ROOT)) for path in sources if "benchmarks" in imported(path)]


def test_every_package_is_named():
    """The folder of the distribution is the package itself, so that its packages have to be listed."""
    named = tomllib.loads((BENCHMARKS / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in BENCHMARKS.rglob("__init__.py")}
    assert set(named) == {name for name in found if not name.startswith("benchmarks.tests")}
