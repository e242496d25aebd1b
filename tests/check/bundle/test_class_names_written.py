"""What the writer reads of the candidate's own names for its classes, and what it may hand on."""

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from gate.records.class_names import ClassNames
from gate.worker.writing import _class_names


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"classes": ["cat", "dog"]}, {0: "cat", 1: "dog"}),
        ({"id2label": {"0": "cat", "7": "dog"}}, {0: "cat", 7: "dog"}),
        (None, {}),
        ("a text", {}),
        ({"classes": {"a": 1}}, {}),
    ],
)
def test_the_writer_hands_the_candidates_names_on(metadata, expected, tmp_path):
    """From the `MLmodel`'s metadata; anything else is no name, and no error."""
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"pytorch": {}}, "metadata": metadata}))
    assert _class_names(tmp_path) == expected


def test_without_an_mlmodel_there_are_no_names(tmp_path):
    """What cannot be read names nothing."""
    assert _class_names(tmp_path) == {}


@pytest.mark.parametrize("odd", [{0: "x" * 101}, {-1: "x"}, dict.fromkeys(range(2001), "x"), {0: ""}])
def test_a_workers_words_are_bounded(odd):
    """A hostile worker can hand on no more and no longer names than a file."""
    with pytest.raises(ValidationError):
        TypeAdapter(ClassNames).validate_python(odd)
