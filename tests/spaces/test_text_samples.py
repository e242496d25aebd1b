"""Texts as people bring them: what is read, and what is wrong with a line, by its number."""

import hashlib
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.records.errors import UnexaminableError
from gate.records.sample_settings import SampleSettings
from gate.spaces.image.foreign_samples import file_kind
from gate.spaces.text import lines, samples
from gate.spaces.text.labels import class_numbers
from gate.spaces.text.samples import read_samples
from gate.spaces.text.usable import require_usable

GOOD = [("you are kind", 0), ("well done", 0), ("you fool", 1), ("go away", 1)]
NAMES = {0: "clean", 1: "toxic"}


def read(path, content):
    """Read a file's content, bytes or text, as a worker does."""
    raw = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(raw)
    return read_samples(path, path.name, hashlib.sha256(raw).hexdigest())


def jsonl(rows):
    """Return texts and labels as lines of JSON."""
    return "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)


@pytest.fixture
def file(tmp_path):
    """Return the path of a file of lines."""
    return tmp_path / "clean.jsonl"


def test_lines_of_json_and_csv_give_the_same(file):
    """With numbers or names, empty lines, a byte-order mark, quotes and line breaks inside."""
    rows = [*GOOD, ('He said "no",\nand left', 1)]
    table = 'label,text\n0,you are kind\n0,well done\n1,you fool\n1,go away\n1,"He said ""no"",\nand left"\n'
    from_json, from_csv = read(file, "\n" + jsonl(rows)), read(file, table)
    assert [(row.text, row.label) for row in from_json.rows] == rows
    assert [(row.text, row.label) for row in from_csv.rows] == rows
    assert [row.line for row in from_csv.rows] == [2, 3, 4, 5, 6]
    assert read(file, b"\xef\xbb\xbf" + jsonl(rows).encode()).rows == read(file, jsonl(rows)).rows
    named = read(file, jsonl((text, NAMES[label]) for text, label in rows))
    assert class_numbers(named, NAMES, 2) == class_numbers(from_csv, NAMES, 2) == (0, 0, 1, 1, 1)


def test_other_keys_are_ignored_and_labels_may_be_absent(file):
    """A label is needed only where the policy does not waive it."""
    raw = read(file, '{"text": "a", "id": 3}\n{"text": "b", "label": null}\n')
    assert not raw.labelled
    assert class_numbers(raw, NAMES, 2) is None
    require_usable(raw, SampleSettings(labels="waived"))
    with pytest.raises(UnexaminableError, match=r"clean\.jsonl have no labels, .* add them under 'label'"):
        require_usable(raw, SampleSettings())


WRONG = {
    "no JSON": ('{"text": "a", "label": 0}\n{"text": "b"', "line 2: it is no JSON"),
    "a pretty-printed object": ('{\n"text": "a"\n}', "line 1: it is no JSON .*; a line holds one whole object"),
    "a list of all": ('[{"text": "a", "label": 0}]', "line 1: it is a list; expected an object on each line"),
    "a bare string": ('{"text": "a", "label": 0}\n"b"', "line 2: it is 'b'; expected an object"),
    "another key": ('{"sentence": "a", "target": 0}', "there is no 'text' .* rename 'sentence' to 'text' and 'target'"),
    "nested without end": ('{"text": ' + "[" * 100_000, "line 1: it is (nested too deeply|no JSON)"),
    "a number without end": ('{"text": "a", "label": ' + "9" * 5000 + "}", "line 1: it is no JSON|its label is 9"),
    "a text that is a number": ('{"text": 3, "label": 0}', "line 1: its text is 3; expected a string"),
    "an empty text": (jsonl([*GOOD, ("  ", 1)]), "line 5: its text is empty: leave it out"),
    "a fraction": ('{"text": "a", "label": 0.5}', "line 1: its label is 0.5; expected a class number"),
    "not a number": ('{"text": "a", "label": NaN}', "line 1: its label is nan"),
    "six labels": ('{"text": "a", "label": [0, 1, 0, 0, 1, 0]}', "label is a list: .* multi-label classifiers are not"),
    "one without a label": (jsonl(GOOD) + '{"text": "b"}', "line 5: it has no label, and that on line 1 has one"),
    "numbers and names": (jsonl([("a", 0), ("b", "toxic")]), "line 2: its label is 'toxic', and that on line 1 is 0"),
    "half a character": ('{"text": "a\\ud800", "label": 0}', "line 1: its text holds half a character"),
    "Latin-1": (b'{"text": "a", "label": 0}\n' + b'{"text": "caf\xe9", "label": 1}', "line 2: byte 0xe9 is no"),
    "UTF-16": ("a".encode("utf-16"), "are saved as UTF-16; expected text in UTF-8"),
    "zeros": (b'{"text": "a", "label": 0}\n\0', "line 2: it holds a zero byte"),
    "an .npz": (b"PK\x03\x04rest", "are saved as a zip, such as .npz"),
    "a pickle": (b"\x80\x04rest", "are saved as a pickle, which could run code and is never opened"),
    "nothing": ("", "hold no text"),
    "CSV by semicolons": ("text;label\na;0\n", "line 1: its columns are separated by semicolons; expected commas"),
    "CSV with other columns": ("id,tweet,class\n1,a,0\n", "rename 'tweet' to 'text' and 'class' to 'label'"),
    "CSV without a heading": ("a good film,1\n", "no column is named 'text' .* the first line names the columns"),
    "CSV with two of a name": ("text,text\na,b\n", "line 1: two columns have one name"),
    "CSV with a comma too many": ("text,label\na,0\nb, and c,1\n", "line 3: it has 3 fields, and there are 2 columns"),
    "CSV with an open quote": ('text,label\n"a,0\n', "line 2: it is no CSV"),
    "CSV with two minus signs": ("text,label\na,0\nb,--1\n", "line 3: its label is '--1', and that on line 2 is 0"),
    "CSV with a minus alone": ("text,label\na,0\nb,-\n", "line 3: its label is '-', and that on line 2 is 0"),
    "CSV with foreign digits": ("text,label\na,0\nb,٣\n", "line 3: its label is '.u0663', and that on line 2"),
    "CSV with an empty text": ("text,label\na,0\n,1\n", "line 3: its text is empty"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_by_its_line(file, content, said):
    """One sentence, with what to do."""
    with pytest.raises(UnexaminableError, match=said) as caught:
        read(file, content)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isascii()


UNUSABLE = {
    "from 1": ([("a", 1), ("b", 1), ("c", 2), ("d", 2)], {}, "labels from 1 to 2: subtract one"),
    "negative": ([("a", -1), ("b", -1), ("c", 1), ("d", 1)], {}, "line 1: its label is -1; .* write 0 in the place"),
    "one class": ([("a", 0), ("b", 0)], {}, "are all of class 0; expected two classes or more"),
    "a class of copies": ([("a", 0), ("b", 0), ("c", 1), ("c", 1)], {}, "have fewer than 2 different texts of class 1"),
    "a misspelt name": (
        [("a", "polite"), ("b", "polite"), ("c", "abusive"), ("d", "abusive"), ("e", "abusiv")],
        {},
        "line 5: its label is 'abusiv', of which .* fewer than 2 different texts; other labels are 'polite', 'abusive'",
    ),
    "a name that is none": (
        [("a", "clean"), ("b", "clean"), ("c", "toxik"), ("d", "toxik")],
        {"classes": ["clean", "toxic"]},
        "line 3: its label is 'toxik'; the model's classes are 'clean', 'toxic'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "stated", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_is_right_for_no_model_is_said_before_one_is_pulled(file, rows, stated, said):
    """The policy's own names of classes are known there; an unbalanced set is not wrong."""
    with pytest.raises(UnexaminableError, match=said):
        require_usable(read(file, jsonl(rows)), SampleSettings.model_validate(stated))
    require_usable(read(file, jsonl([*GOOD, *((f"fine {n}", 0) for n in range(500))])), SampleSettings())


def test_labels_that_are_none_of_the_models_classes_are_said_by_their_line(file):
    """By number, and by name where the model has none, or one twice."""
    with pytest.raises(UnexaminableError, match=r"line 3: its label is 1; the model's classes are 0 to 0"):
        class_numbers(read(file, jsonl(GOOD)), {}, 1)
    named = read(file, jsonl((text, NAMES[label]) for text, label in GOOD))
    with pytest.raises(UnexaminableError, match="line 1: its label is 'clean', and the model states no names"):
        class_numbers(named, {}, 2)
    with pytest.raises(UnexaminableError, match="two of the model's classes have one name"):
        class_numbers(named, {0: "clean", 1: "clean"}, 2)


def test_sizes_are_bounded(file, monkeypatch):
    """A file, a text and their number."""
    monkeypatch.setattr(lines, "MAX_CHARACTERS", 20)
    with pytest.raises(UnexaminableError, match="line 5: its text has 21 characters; at most 20 are read"):
        read(file, jsonl([*GOOD, ("a" * 21, 0)]))
    monkeypatch.setattr(lines, "MAX_TEXTS", 3)
    with pytest.raises(UnexaminableError, match="hold more than 3 texts"):
        read(file, jsonl(GOOD))
    monkeypatch.setattr(samples, "MAX_BYTES", 10)
    with pytest.raises(UnexaminableError, match="are larger than 0 MiB"):
        read(file, jsonl(GOOD))


def test_a_folder_is_no_file_of_texts(tmp_path):
    """It is said so, and nothing in it is opened."""
    with pytest.raises(UnexaminableError, match="are a folder; expected one file"):
        read_samples(tmp_path, "clean", "0" * 64)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_read_or_refused_in_a_sentence(tmp_path_factory, raw):
    """Nothing else is raised, whatever a tag's samples hold."""
    with suppress(UnexaminableError):
        found = read(tmp_path_factory.mktemp("any") / "s.csv", raw)
        assert all(row.text.strip() for row in found.rows)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="-+0123456789.eE_ ٣²", min_size=1, max_size=24))
def test_any_label_is_a_number_a_name_or_refused(tmp_path_factory, label):
    """What looks like a number and is none ends no worker."""
    with suppress(UnexaminableError):
        (row,) = read(tmp_path_factory.mktemp("any") / "s.csv", f"text,label\na,{label}\n").rows
        assert row.label is None or str(row.label) == label.strip() or row.label == int(label)


@pytest.mark.parametrize("head", [jsonl(GOOD).encode(), b"text,label\na,0\n", b'id,"text"\n1,a\n'])
def test_texts_for_a_policy_of_images_are_told_as_such(head):
    """They are no numbers that somebody should save as an array."""
    assert file_kind(head[:512]).startswith("texts, and the policy's detectors are for images")
