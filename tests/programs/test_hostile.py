import shutil
import zipfile

import pytest
import torch
from consumers_view import lint_archive
from exported_families import FAMILIES, export, make
from hostile_archives import LINTED, REFUSED, edited, flip, graph, members, pack

from gate.formats.pt2_document import lint_document
from gate.programs import RefusedError, read_program


@pytest.mark.parametrize("channel", REFUSED)
def test_a_hostile_archive_is_refused_and_linted_and_nothing_runs(channel, good, tmp_path, marker):
    """Reading and linting an archive that carries code in a place the reader needs runs none of it."""
    path = REFUSED[channel](good[0], tmp_path / "hostile.pt2", marker)
    with pytest.raises(RefusedError):
        read_program(path)
    assert lint_archive(path)
    assert not marker.exists()


@pytest.mark.parametrize("channel", LINTED)
def test_code_in_a_place_the_reader_ignores_is_linted_and_never_runs(channel, good, tmp_path, marker):
    """Code where only other loaders look changes nothing for the reader, and is named for the deployer."""
    path = LINTED[channel](good[0], tmp_path / "hostile.pt2", marker)
    _, model, x = good
    torch.testing.assert_close(read_program(path)(x), model(x))
    assert lint_archive(path)
    assert not marker.exists()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_good_archive_gives_no_findings(family, tmp_path):
    """What torch itself exports passes the lint, so that a finding means something."""
    model, shape = make(family)
    assert lint_archive(export(model, shape, tmp_path / "model.pt2")) == ()


def test_free_image_sizes_with_guards_give_no_findings(tmp_path):
    """Guards and size expressions of an export with free height and width are within the grammar."""
    model, _ = make("unet")
    auto = torch.export.Dim.AUTO
    exported = torch.export.export(model, (torch.randn(2, 3, 16, 20),), dynamic_shapes=({0: auto, 2: auto, 3: auto},))
    torch.export.save(exported, tmp_path / "model.pt2")
    assert b"FloorDiv" in members(tmp_path / "model.pt2")["models/model.json"]
    assert lint_archive(tmp_path / "model.pt2") == ()


def _compressed(source, target):
    return pack(members(source), target, compression=zipfile.ZIP_DEFLATED)


def _duplicate(source, target):
    pairs = list(members(source).items())
    with pytest.warns(UserWarning, match="Duplicate name"):
        return pack([*pairs, pairs[-1]], target)


def _unknown(source, target):
    return pack(members(source) | {"extra/run.py": b""}, target)


def _traversal(source, target):
    return pack(members(source), target, root="..")


def _prefixed(source, target):
    target.write_bytes(b"#!/bin/sh\n" + source.read_bytes())
    return target


def _commented(source, target):
    shutil.copy(source, target)
    with zipfile.ZipFile(target, "a") as container:
        container.comment = b"and more"
    return target


def _encrypted(source, target):
    return flip(pack(members(source), target), target, b"PK\x01\x02", 8, 1)


def _other_local_method(source, target):
    return flip(pack(members(source), target), target, b"PK\x03\x04", 8, 8)


def _cut_off(source, target):
    target.write_bytes(source.read_bytes()[:-100])
    return target


def _bad_checksum(source, target):
    content = members(source)
    name = next(name for name, data in content.items() if name.startswith("data/weights/weight_") and len(data) > 64)
    raw = pack(content, target).read_bytes()
    target.write_bytes(raw.replace(content[name], b"\x01" * len(content[name])))
    return target


def _link(source, target):
    target.symlink_to(source)
    return target


def _empty(_, target):
    target.write_bytes(b"")
    return target


CONTAINERS = [
    _compressed, _duplicate, _unknown, _traversal, _prefixed, _commented, _encrypted, _other_local_method, _cut_off,
    _bad_checksum, _link, _empty,
]  # fmt: skip


@pytest.mark.parametrize("damage", CONTAINERS, ids=lambda function: function.__name__.strip("_"))
def test_a_container_that_readers_could_understand_differently_is_refused(damage, good, tmp_path):
    """Compressed, doubled, unknown, prefixed, encrypted, cut off or linked: the zip layer refuses all of it."""
    with pytest.raises(RefusedError):
        read_program(damage(good[0], tmp_path / "damaged.pt2"))


def _nodes(document):
    return graph(document)["nodes"]


def _node(document, operator):
    return next(node for node in _nodes(document) if operator in node["target"])


def _mutation(document):
    spec = document["graph_module"]["signature"]["output_specs"][0]
    spec["buffer_mutation"] = {"arg": spec.pop("user_output")["arg"]["as_tensor"], "buffer_name": "mean"}


def _retarget(operator, target):
    return lambda document: _node(document, operator).update(target=target)


GRAPHS = {
    "schema": (lambda document: document["schema_version"].update(major=9), "schema version"),
    "unknown key": (lambda document: document.update(hook="x"), "unknown key"),
    "random numbers": (_retarget("relu", "torch.ops.aten.rand_like.default"), "not on the list"),
    "file": (_retarget("relu", "torch.ops.aten.from_file.default"), "not on the list"),
    "raw strides": (_retarget("relu", "torch.ops.aten.as_strided.default"), "not on the list"),
    "uninitialised": (_retarget("relu", "torch.ops.aten.empty_like.default"), "not on the list"),
    "higher order": (_retarget("relu", "torch.ops.higher_order.cond"), "not on the list"),
    "other namespace": (_retarget("relu", "torch.ops.mkldnn.relu.default"), "not on the list"),
    "private": (_retarget("relu", "torch.ops.aten.__init__.default"), "not on the list"),
    "mutation": (_mutation, "changes its own state"),
    "use before definition": (lambda document: _nodes(document).reverse(), "before it is defined"),
    "redefinition": (lambda document: _nodes(document).append(_nodes(document)[0]), "defined twice"),
    "argument kind": (
        lambda document: _nodes(document)[0]["inputs"][0].update(arg={"as_operator": "x"}),
        "is not read",
    ),
    "unknown argument": (lambda document: _nodes(document)[0]["inputs"][0].update(name="other_one"), "takes no"),
    "custom object": (
        lambda document: graph(document).update(custom_obj_values={"a": {"name": "a", "class_fqn": "b"}}),
        "custom objects",
    ),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_a_graph_beyond_the_closed_language_is_refused(case, good, tmp_path):
    """Whatever a graph says that the reader does not know is refused, with a reason that names it."""
    edit, reason = GRAPHS[case]
    path = edited(good[0], tmp_path / "edited.pt2", edit)
    with pytest.raises(RefusedError, match=reason):
        read_program(path)


def _meta(document):
    return next(iter(document["config"].values()))["tensor_meta"]


TENSORS = {
    "offset": (lambda document: _meta(document).update(storage_offset={"as_int": 1 << 40}), "lies outside"),
    "stride": (
        lambda document: _meta(document)["strides"].__setitem__(0, {"as_int": 1 << 40}),
        "lies outside",
    ),
    "negative": (lambda document: _meta(document).update(storage_offset={"as_int": -1}), "negative"),
    "huge": (lambda document: _meta(document)["sizes"].__setitem__(0, {"as_int": 1 << 60}), "elements"),
    "dtype": (lambda document: _meta(document).update(dtype=10), "dtype code"),
    "rank": (lambda document: _meta(document)["sizes"].append({"as_int": 1}), "differ in number"),
    "missing": (lambda document: document["config"].pop(next(iter(document["config"]))), "belongs to no tensor"),
}


@pytest.mark.parametrize("case", TENSORS)
def test_a_tensor_outside_its_record_is_refused(case, good, tmp_path):
    """Sizes, strides and offsets are held against the bytes that the archive really has."""
    edit, reason = TENSORS[case]
    path = edited(good[0], tmp_path / "edited.pt2", edit, member="data/weights/model_weights_config.json")
    with pytest.raises(RefusedError, match=reason):
        read_program(path)


class Counting(torch.nn.Module):
    """Counts its calls in a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):  # noqa: D102  # the class says it
        self.calls.add_(1)
        return x * self.calls


class Overwriting(torch.nn.Module):
    """Writes to its input."""

    def forward(self, x):  # noqa: D102  # the class says it
        return x.mul_(2) + 1


class Random(torch.nn.Module):
    """Adds noise."""

    def forward(self, x):  # noqa: D102  # the class says it
        return x + torch.rand_like(x)


@pytest.mark.parametrize(
    "model",
    [Counting().eval(), Overwriting(), Random(), torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout()),
     torch.nn.BatchNorm1d(4)],
    ids=["counter", "overwritten input", "random numbers", "dropout in training", "batch norm in training"],
)  # fmt: skip
def test_a_model_that_is_no_function_of_its_input_is_refused(model, tmp_path):
    """State that changes, random numbers and training mode are refused, whatever the exporter made of them."""
    torch.export.save(torch.export.export(model, (torch.randn(3, 4),)), tmp_path / "model.pt2")
    with pytest.raises(RefusedError):
        read_program(tmp_path / "model.pt2")


@pytest.mark.parametrize("word", ["inf", "nan", "device"])
def test_an_inputs_keyword_that_is_a_word_of_generated_code_is_told(tmp_path, word):
    """Torch writes it into the head of a function, where it takes the place of the constant of that name."""

    class Keyword(torch.nn.Module):
        def forward(self, *, x):
            return x + torch.relu(x - 0.9) / float("inf")

    torch.export.save(torch.export.export(Keyword(), (), {"x": torch.rand(2, 4)}), tmp_path / "a.pt2")
    document = dict(read_program(tmp_path / "a.pt2").document)
    assert list(lint_document(document)) == []
    (entry,) = [one for one in document["graph_module"]["module_call_graph"] if one["fqn"] == ""]
    signature = entry["signature"]
    signature["in_spec"] = signature["in_spec"].replace('\\"x\\"', f'\\"{word}\\"')
    signature["forward_arg_names"] = None
    (found,) = list(lint_document(document))
    assert "in_spec" in found.where
