"""The commands that only read, on what is committed of a split: each prints what its help says."""

import pytest
from click.testing import CliRunner

from benchmarks.efficacy.__main__ import efficacy


@pytest.fixture
def said(tmp_path):
    """Return a function from arguments to what a command prints; no model lies on this machine."""

    def run(*arguments):
        found = CliRunner().invoke(efficacy, [*arguments, "--cache", str(tmp_path)], catch_exceptions=False)
        assert found.exit_code == 0, found.output
        return found.output

    return run


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("table", "--split", "evading"), "ROC-AUC"),
        (("by-detector", "--split", "evading", "--only", "probe-grid"), "probe-grid"),
        (("by-model", "--split", "evading"), "evading-011 fashion"),
        (("each", "--split", "evading", "--without", "confirmation"), "evading-011"),
        (("asked", "--split", "evading"), ""),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_way_of_reading_a_split_prints_it(arguments, shown, said):
    """Of the models that are committed, whether or not they lie here."""
    assert shown in said(*arguments)
