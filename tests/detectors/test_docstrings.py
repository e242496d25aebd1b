"""The parts of a detector's docstring."""

import sys
import types

import pytest

from gate.detectors.contract import PARTS, parts, summary

TEXT = """Counts things
in two lines.

Measures  count: how many,
          over two lines.
Matters   They matter. See below.
Blind to  The rest.
See       Somebody, "A title", 2019.
"""


@pytest.fixture
def described(monkeypatch):
    """Return a function that makes a module with a docstring and returns its name."""

    def make(text):
        module = types.ModuleType("described_module", text)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return module.__name__

    return make


def test_the_parts_are_read_in_one_line_each(described):
    """Continuation lines are joined, and a heading's word inside a sentence is no heading."""
    found = parts(described(TEXT))
    assert tuple(found) == PARTS
    assert found["Measures"] == "count: how many, over two lines."
    assert found["Matters"] == "They matter. See below."
    assert found["See"] == 'Somebody, "A title", 2019.'


def test_the_summary_is_the_first_paragraph(described):
    """What stands before the parts is one line."""
    assert summary(described(TEXT)) == "Counts things in two lines."


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_part_is_named(described, part):
    """A docstring without one of its parts is an error of its author."""
    with pytest.raises(ValueError, match=f"has no part '{part}'"):
        parts(described(TEXT.replace(f"\n{part} ", "\nOther ")))


def test_a_module_without_a_docstring_has_no_parts(described):
    """Nothing at all is an error in the same words."""
    with pytest.raises(ValueError, match="has no part 'Measures'"):
        parts(described(None))
    assert summary(described(None)) == ""
