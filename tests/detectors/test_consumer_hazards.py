"""What the detector of consumer hazards says, beyond the corpus: lines, settings, options."""

import pytest

from gate.formats.pt2_grammar import is_guard, is_size_expression
from gate.formats.requirements import odd_in_file, odd_lines
from tests.corpus.case import folder, mlmodel
from tests.corpus.measuring import measure, notes, total

PLAIN = (
    "mlflow==3.17.2",
    "numpy >=2, <3",
    "torch[opt-einsum]~=2.13",
    "scipy (>=1.2)",
    'pandas==3.1 ; python_version >= "3.11" and sys_platform == "linux"',
    "six==1.17.0 --hash=sha256:" + "a" * 64,
    "# a comment",
    "torch",
    "-c constraints.txt",
)
FOREIGN = (
    "https://example.org/a.whl",
    "git+ssh://git@example.org/a",
    "a @ file:///a.whl",
    "a@https://example.org/a.whl",
    "-i https://example.org",
    "--extra-index-url=https://example.org a",
    "--find-links wheels",
    "-e git+https://example.org/a#egg=a",
    "../a",
    "/a",
    "C:\\a",
    "a.whl/../b",
    "-r other.txt",
    "-r requirements.txt",
    "charger",
    "numpy ; python_version > '3' charger",
    "numpy\x0bcharger",
    "numpy\\",
    "# a comment that goes on \\",
    "# -*- coding: utf-7 -*-",
    "nump\u00fd",
    "numpy\rcharger",
    "numpy charger",
    "-r https://example.org/requirements.txt",
    "--trusted-host example.org",
    "${HOME}/a",
    "a" + " " * 3000 + "!",
)


@pytest.mark.parametrize("line", PLAIN)
def test_a_plain_requirement_passes(line):
    """What names a distribution and its versions installs from the configured index."""
    assert [str(odd) for odd in odd_lines(line) if not odd.unpinned] == []


@pytest.mark.parametrize("line", FOREIGN)
def test_any_other_requirement_is_foreign(line):
    """Whatever the grammar does not know makes an installer go elsewhere."""
    assert len([odd for odd in odd_lines(line) if not odd.unpinned]) == 1


@pytest.mark.parametrize(
    "guard",
    [
        "L['x'].size()[0] >= 2",
        "(L['x'].size()[1] // 4)*max(1, L['x'].size()[1] // 4) > 1",
        "(1 + (((-3) + (L['x'].size()[1] // 4)) // 2)) != 1",
        "not L['args'][0].stride()[1] == 3",
    ],
)
def test_guards_as_torch_writes_them_pass(guard):
    """Comparisons of sizes are within the grammar."""
    assert is_guard(guard)


@pytest.mark.parametrize(
    "guard", ["f(1)", "L.x", "L['x'].__class__", "9**9**9", "L['x'].size", "[1 for x in L]", "L['a()']"]
)
def test_any_other_guard_is_refused(guard):
    """Attributes, calls, powers and comprehensions are not."""
    assert not is_guard(guard)


@pytest.mark.parametrize(
    "text", ["f(1)", "Symbol('a b')", "(1).real.__class__", "s0.x", "Integer(9)**Integer(9)", "lambda: 1"]
)
def test_any_other_expression_is_refused(text):
    """An expression holds only known functions, symbols and numbers."""
    assert not is_size_expression(text)


def test_names_without_a_version_are_told_and_not_flagged(tmp_path):
    """MLflow itself writes `torch` where the trainer gave no version."""
    folder(tmp_path, {"requirements.txt": b"torch\nmlflow==3.17.2\n"})
    found = measure(tmp_path, "consumer-hazards")
    assert notes(found, "unpinned-requirements") == {"requirements.txt": "torch"}
    assert total(found, "foreign-requirements") == 0


def test_a_policy_may_know_a_package_of_its_own_house(tmp_path):
    """A name that the policy adds does not count, and only that one; the finding says how to add it."""
    folder(tmp_path, {"requirements.txt": b"mlflow==3.17.2\nAcme_Vision==1.2\nacme-vison==1.2\n"})
    (note,) = notes(measure(tmp_path, "consumer-hazards"), "foreign-requirements").values()
    assert "allowed-packages: [acme-vision]" in note
    assert total(measure(tmp_path, "consumer-hazards", allowed_packages=("acme-vision",)), "foreign-requirements") == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("conda.yaml", "dependencies: [python=3.11.7, {pip: ['mlflow\\n--index-url https://example.org']}]"),
        ("conda.yaml", "dependencies: ['conda-forge::charger']"),
        ("conda.yaml", "dependencies: [charger=1.0]"),
        ("conda.yaml", "prefix: /opt/env"),
        ("python_env.yaml", "dependencies: ['-r other.txt']"),
        ("python_env.yaml", "python: '3.11.7; charger'"),
        ("python_env.yaml", "build_dependencies: [charger==1]"),
        ("environment_variables.txt", "PYTHONPATH=/tmp"),
    ],
)
def test_whatever_else_an_environment_says_is_told(name, content):
    """Each is one line that no MLflow writes."""
    assert len([odd for odd in odd_in_file(name, content.encode()) if not odd.unpinned]) == 1


@pytest.mark.parametrize("value", ["[mlflow.pytorch]", "{a: b}", "1", "''"])
def test_a_loader_that_is_no_text_is_foreign(value, tmp_path):
    """Odd types in MLmodel are counted, not raised."""
    folder(tmp_path, {"MLmodel": mlmodel("loader_module: mlflow.pytorch", f"loader_module: {value}")})
    assert total(measure(tmp_path, "consumer-hazards"), "foreign-loaders") == 1


@pytest.mark.parametrize("value", ["[pickle]", "{a: b}", "7"])
def test_a_pickle_module_that_is_no_text_is_foreign(value, tmp_path):
    """Likewise for the module that would unpickle."""
    folder(tmp_path, {"MLmodel": mlmodel("code: null", f"pickle_module_name: {value}")})
    assert total(measure(tmp_path, "consumer-hazards"), "foreign-loaders") == 1


def test_metadata_copies_are_read_as_well(tmp_path):
    """The copy of the requirements that MLflow keeps in `metadata` is held against the same grammar."""
    folder(tmp_path, {"metadata/requirements.txt": b"git+https://example.org/a\n"})
    assert list(notes(measure(tmp_path, "consumer-hazards"), "foreign-requirements")) == ["metadata/requirements.txt"]
