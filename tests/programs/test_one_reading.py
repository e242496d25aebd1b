"""Archives that torch's own loader opens and understands as another program than their plain reading is."""

import json

import pytest
import torch
from consumers_view import lint_archive
from hostile_archives import edited, graph, members, pack
from torch import nn

from gate.programs import RefusedError, read_program

X = torch.linspace(-1, 1, 2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
CONSTANTS = "data/constants/model_constants_config.json"


class _Net(nn.Module):
    """A linear layer over clamped pixels, with a buffer and a constant."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fc = nn.Linear(48, 5)
        self.register_buffer("mean", torch.zeros(48))
        self.far = torch.ones(48)

    def forward(self, x):
        """Return class scores."""
        rows = torch.clamp(x, max=0.5).flatten(1) - self.mean - 0.001 * self.far
        return self.fc(rows) * torch.full((1,), 16777217).sub(16777216)


@pytest.fixture
def saved(tmp_path):
    """Return the path of a good archive."""
    torch.export.save(torch.export.export(_Net().eval(), (X,)), tmp_path / "good.pt2")
    torch.testing.assert_close(read_program(tmp_path / "good.pt2")(X), _Net()(X))
    return tmp_path / "good.pt2"


def _served(path):
    return torch.export.load(path).module()(X)


def _node(document, operator):
    return next(node for node in graph(document)["nodes"] if f".{operator}." in node["target"])


def _by_place(document):
    """Leave an argument out that stands before one which is passed by its place."""
    node = _node(document, "clamp")
    node["inputs"] = [{**given, "kind": 1} for given in node["inputs"] if given["name"] != "min"]


def _by_place_alone(document):
    """Pass an argument by its place that the operator takes by its name alone."""
    node = _node(document, "full")
    node["inputs"] = [{**given, "kind": 1} for given in node["inputs"]]


@pytest.mark.parametrize("edit", [_by_place, _by_place_alone])
def test_an_argument_that_other_loaders_take_for_another_is_refused(edit, saved, tmp_path):
    """Torch moves an argument that is passed by place up to the first free one; by its name it is another."""
    path = edited(saved, tmp_path / "edited.pt2", edit)
    with pytest.raises(RefusedError, match="by its place"):
        read_program(path)
    if edit is _by_place:
        assert not torch.allclose(_served(path), _Net()(X))


def test_arguments_by_name_may_leave_others_out(saved, tmp_path):
    """The same argument by its name, or as archives without kinds have it, is read as torch's loader does."""
    for kind in (2, None):

        def edit(document, kind=kind):
            node = _node(document, "clamp")
            node["inputs"] = [
                {**given, "kind": kind if given["name"] == "max" else given["kind"]}
                for given in node["inputs"]
                if given["name"] != "min"
            ]

        path = edited(saved, tmp_path / "edited.pt2", edit)
        torch.testing.assert_close(read_program(path)(X), _Net()(X))
        if kind is not None:  # torch 2.13 wants a kind or none of them as a key, and never null
            torch.testing.assert_close(_served(path), _Net()(X))


def _renamed(source, target, name):
    """Give the constant the qualified name of another tensor."""
    content = members(source)
    config = json.loads(content[CONSTANTS])
    config["config"] = {name: config["config"]["far"]}
    content[CONSTANTS] = json.dumps(config).encode()
    text = content["models/model.json"].decode()
    content["models/model.json"] = text.replace(
        '"tensor_constant_name": "far"', f'"tensor_constant_name": "{name}"'
    ).encode()
    return pack(content, target)


@pytest.mark.parametrize("name", ["mean", "fc.weight", "fc@1.weight"])
def test_two_tensors_of_one_name_are_refused(name, saved, tmp_path):
    """Torch puts weights and constants into one module, where the last of a name replaces the other."""
    path = _renamed(saved, tmp_path / "renamed.pt2", name)
    with pytest.raises(RefusedError, match=r"names two tensors|holds an @"):
        read_program(path)
    if name == "mean":
        assert not torch.allclose(_served(path), _Net()(X))


def test_arithmetic_of_sizes_is_torchs_own(saved, tmp_path):
    """The greater of an integer and a float is a float to torch, which then rounds what an integer holds exactly."""

    def edit(document):
        arguments = [{"as_int": 16777217}, {"as_float": 1.0}]
        greatest = {
            "target": "torch.sym_max",
            "inputs": [{"name": name, "arg": arg, "kind": 1} for name, arg in zip("ab", arguments, strict=True)],
            "outputs": [{"as_sym_int": {"as_name": "greatest"}}],
            "metadata": {},
            "is_hop_single_tensor_return": None,
            "name": "greatest",
        }
        node = _node(document, "full")
        node["inputs"][1]["arg"] = {"as_sym_int": {"as_name": "greatest"}}
        graph(document)["nodes"].insert(0, greatest)
        graph(document)["sym_int_values"]["greatest"] = {"as_int": 16777217}

    path = edited(saved, tmp_path / "edited.pt2", edit)
    torch.testing.assert_close(read_program(path)(X), _served(path))


@pytest.mark.parametrize("name", ["inf", "nan", "torch", "device", "pytree", "fx_pytree", "self"])
def test_an_input_that_stands_in_for_what_generated_code_refers_to_is_named(name, saved, tmp_path):
    """The input of a caller, called `inf`, would be every infinity of the graph."""

    def edit(document):
        document["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"] = [name]

    assert lint_archive(edited(saved, tmp_path / "edited.pt2", edit))
