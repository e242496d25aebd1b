"""What the detector of unsafe pickles says, beyond the corpus: names, places, options, time."""

import pytest

from gate.records.run import DeadlineReachedError, Run
from tests.corpus import case
from tests.corpus.case import folder
from tests.corpus.measuring import measure, notes, total
from tests.corpus.pickles import call, text, touch
from tests.corpus.zipping import torch_zip


def test_the_note_names_the_member_and_the_import(tmp_path):
    """A reader of the report learns which member of which file imports what."""
    folder(tmp_path, {"data/model.pth": torch_zip(touch(tmp_path / "marker"))})
    found = notes(measure(tmp_path, "unsafe-pickle"), "unsafe-globals")
    assert found == {"data/model.pth": "model/data.pkl: posix.system"}


def test_one_import_counts_once_however_often_it_is_named(tmp_path):
    """The count is of distinct imports per file, so that it can be compared."""
    stream = touch(tmp_path / "marker")
    folder(tmp_path, {"data/model.pkl": stream + stream})
    assert total(measure(tmp_path, "unsafe-pickle"), "unsafe-globals") == 1


def test_nothing_found_is_a_zero_without_a_place(tmp_path):
    """A folder without pickles is measured as such, which differs from silence."""
    folder(tmp_path, {"data/notes.txt": b"nothing"})
    found = measure(tmp_path, "unsafe-pickle")
    assert {(item.metric, item.value, item.location) for item in found} == {
        ("unsafe-globals", 0, None),
        ("unreadable-streams", 0, None),
        ("module-globals", 0, None),
        ("library-globals", 0, None),
    }


def test_a_policy_may_allow_an_import(tmp_path):
    """An allowed import does not count, an allowed class counts as a module."""
    folder(tmp_path, {"data/model.pkl": call("own.layers", "Gate", text("x"))})
    assert total(measure(tmp_path, "unsafe-pickle"), "unsafe-globals") == 1
    assert total(measure(tmp_path, "unsafe-pickle", allowed=("own.layers.Gate",)), "unsafe-globals") == 0
    classes = measure(tmp_path, "unsafe-pickle", allowed_classes=("own.layers.Gate",))
    assert (total(classes, "unsafe-globals"), total(classes, "module-globals")) == (0, 1)


def test_an_import_of_a_known_library_is_counted_as_that_and_stays_unsafe(tmp_path):
    """It says what the pickle is; whoever owns the name `timm` on another machine is not known."""
    folder(
        tmp_path, {"data/model.pkl": call("timm.layers.mlp", "Mlp", text("x")) + call("own.layers", "Gate", text("x"))}
    )
    found = measure(tmp_path, "unsafe-pickle")
    assert (total(found, "unsafe-globals"), total(found, "library-globals")) == (2, 1)


def test_an_allowed_name_in_another_module_is_another_name(tmp_path):
    """Module and name are compared as written, so that a dotted name cannot borrow an allowed one."""
    folder(tmp_path, {"data/model.pkl": b"\x80\x04" + text("torch") + text("Tensor.__init__.__globals__") + b"\x93."})
    assert total(measure(tmp_path, "unsafe-pickle"), "unsafe-globals") == 1


def test_more_opcodes_than_allowed_count_as_unreadable(tmp_path):
    """A stream beyond the bound is bad, whatever its first part looks like."""
    folder(tmp_path, {"data/model.pkl": b"\x80\x02" + b"N0" * 200 + b"N."})
    assert total(measure(tmp_path, "unsafe-pickle"), "unreadable-streams") == 0
    assert total(measure(tmp_path, "unsafe-pickle", max_opcodes=100), "unreadable-streams") == 1


def test_a_reached_deadline_ends_the_work(tmp_path):
    """The deadline's error passes through the readers to the scan."""
    folder(tmp_path, {"data/model.pkl": b"\x80\x02}."})
    with pytest.raises(DeadlineReachedError):
        measure(tmp_path, "unsafe-pickle", Run(seed=0, deadline=0.0))


def test_hostile_names_are_escaped_in_notes(tmp_path):
    """Terminal escapes and line breaks in an import's name do not reach the report."""
    folder(tmp_path, {"data/model.pkl": b"\x80\x04" + text("a\x1b[2J\nb") + text("c") + b"\x93."})
    (note,) = notes(measure(tmp_path, "unsafe-pickle"), "unsafe-globals").values()
    assert note == r"a\x1b[2J\nb.c"


def test_torch_agrees_that_the_listed_names_are_those_of_tensors():
    """The static list equals what this torch's weights-only unpickler allows, but for protocol 2's spelling."""
    from torch._weights_only_unpickler import _get_allowed_globals

    from gate.formats.pickle_names import TENSOR_NAMES

    allowed = {tuple(name.rsplit(".", 1)) for name in _get_allowed_globals()}
    assert {name for name in TENSOR_NAMES if name[0] != "__builtin__"} == allowed


def test_the_listed_layers_are_modules_of_torch():
    """Every listed layer is a class of that name in that module of torch."""
    import importlib

    from torch import nn

    from gate.formats.pickle_names import LAYER_NAMES

    found = [getattr(importlib.import_module(module), name) for module, name in LAYER_NAMES]
    assert len(found) > 100
    assert all(issubclass(layer, nn.Module) for layer in found)


@pytest.mark.parametrize("name", ["pickle-computed-name", "pickle-extension-code"])
def test_a_name_that_is_not_known_is_called_computed(name, tmp_path):
    """Where no name can be given, the note says that it is computed."""
    chosen = case(name)
    chosen.write(tmp_path, tmp_path / "marker")
    (note,) = notes(measure(tmp_path, "unsafe-pickle"), "unsafe-globals").values()
    assert "computed" in note
