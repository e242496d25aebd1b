"""What the detector of consumer hazards says, beyond the corpus: lines, settings, options."""

import pytest

from gate.formats.pt2_grammar import is_guard, is_size_expression
from gate.formats.requirements import foreign_lines
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
    "-r requirements.txt",
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
    "-r https://example.org/requirements.txt",
    "--trusted-host example.org",
    "${HOME}/a",
    "a" + " " * 3000 + "!",
)


@pytest.mark.parametrize("line", PLAIN)
def test_a_plain_requirement_passes(line):
    """What names a distribution and its versions installs from the configured index."""
    assert list(foreign_lines(line)) == []


@pytest.mark.parametrize("line", FOREIGN)
def test_any_other_requirement_is_foreign(line):
    """Whatever the grammar does not know makes an installer go elsewhere."""
    assert len(list(foreign_lines(line))) == 1


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


def test_a_policy_may_know_another_loader_and_flavour(tmp_path):
    """A loader that the policy names does not count, and only that one."""
    folder(tmp_path, {"MLmodel": mlmodel("loader_module: mlflow.pytorch", "loader_module: own.loader")})
    assert notes(measure(tmp_path, "consumer-hazards"), "foreign-loaders") == {
        "MLmodel": "python_function.loader_module: own.loader"
    }
    assert total(measure(tmp_path, "consumer-hazards", allowed_loaders=("own.loader",)), "foreign-loaders") == 0


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
