"""What changes nothing at inference is read as that: dropout in place, regions without gradients, weight norm."""

import json

import pytest
import torch
from consumers_view import lint_archive
from hostile_archives import edited, graph
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from gate.programs import RefusedError, batched, read_program
from gate.programs.readers.pt2.inlining import AUTOCAST, NO_GRAD
from gate.programs.writer.write import write_program


class Reshaped(nn.Module):
    """Takes the form of another value."""

    def forward(self, x):
        """Add what has another form."""
        return x + x.flatten(1).reshape_as(x)


class Region(nn.Module):
    """A layer under a context manager."""

    def __init__(self, context):
        super().__init__()
        self.layer, self.head, self.context = nn.Linear(8, 8), nn.Linear(8, 3), context

    def forward(self, x):
        """Scale within the region by what is outside of it, and hand one value through."""
        y = x * 2
        with self.context():
            z = self.layer(x) * y
        return self.head(z.relu() + y)


def off():
    """Return autocast that is switched off."""
    return torch.autocast("cpu", enabled=False)


def on():
    """Return autocast that is switched on."""
    return torch.autocast("cpu", dtype=torch.bfloat16)


def exported(model, path, count=2):
    """Save a model in eval mode with a free batch size."""
    program = torch.export.export(model.eval(), (torch.rand(count, 8),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    torch.export.save(program, path)
    return path


LAYERS = {
    "dropout": lambda: nn.Dropout(0.5, inplace=True),
    "dropout of channels": lambda: nn.Sequential(nn.Unflatten(1, (2, 4)), nn.Dropout1d(0.5, inplace=True)),
    "alpha dropout": lambda: nn.AlphaDropout(0.5, inplace=True),
    "feature alpha dropout": lambda: nn.FeatureAlphaDropout(0.5, inplace=True),
    "leaky by chance": nn.RReLU,
    "the form of another": Reshaped,
    "weight norm": lambda: weight_norm(nn.Linear(8, 8)),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_an_identity_of_inference_is_read(layer, tmp_path):
    """The first layer works on the input itself, which nothing may write to; a second one is behind a layer."""
    model = nn.Sequential(LAYERS[layer](), nn.Flatten(), nn.Linear(8, 8), nn.Dropout(0.5, inplace=True), nn.ReLU(True))
    path = exported(model, tmp_path / "model.pt2")
    program, x = read_program(path), torch.rand(5, 8)
    before = x.clone()
    assert torch.equal(program(x), model(x))
    assert torch.equal(x, before)
    assert batched(program, x).mode == "direct"
    assert lint_archive(path) == ()


@pytest.mark.parametrize("layer", ["dropout", "alpha dropout", "feature alpha dropout", "leaky by chance"])
def test_the_same_layer_in_training_is_refused_with_the_remedy(layer, tmp_path):
    """Only here the advice is to call eval()."""
    model = nn.Sequential(nn.Linear(8, 8), LAYERS[layer]())
    torch.export.save(torch.export.export(model.train(), (torch.rand(2, 8),)), tmp_path / "model.pt2")
    with pytest.raises(RefusedError, match="in training mode") as caught:
        read_program(tmp_path / "model.pt2")
    assert "call model.eval() and log it again" in caught.value.sentence


@pytest.mark.parametrize("context", [torch.no_grad, torch.enable_grad, off])
def test_a_region_that_changes_no_value_is_part_of_its_graph(context, tmp_path):
    """The same numbers as eager, in the bundle too, which has no graph inside its graph; gradients flow through."""
    model = Region(context)
    path = exported(model, tmp_path / "model.pt2")
    program, x = read_program(path), torch.rand(5, 8, requires_grad=True)
    assert torch.equal(program(x), model(x))
    assert torch.autograd.grad(program(x).sum(), x)[0].abs().sum() > 0
    write_program(program, tmp_path / "bundle.pt2")
    assert torch.equal(torch.export.load(tmp_path / "bundle.pt2").module()(x), model(x))
    assert "higher_order" not in json.dumps(read_program(tmp_path / "bundle.pt2").document)
    assert lint_archive(path) == ()
    assert lint_archive(tmp_path / "bundle.pt2") == ()


def test_autocast_that_is_on_is_refused_with_the_remedy(tmp_path):
    """It computes in another type, and in which one the machine decides."""
    path = exported(Region(on), tmp_path / "model.pt2")
    with pytest.raises(RefusedError, match="autocast computes in another type") as caught:
        read_program(path)
    assert "model.bfloat16()" in caught.value.sentence


def region(document):
    """Return the node that holds a region, and the region's graph."""
    node = next(node for node in graph(document)["nodes"] if node["target"] in {NO_GRAD, AUTOCAST})
    held = next(item["arg"]["as_graph"] for item in node["inputs"] if "as_graph" in item["arg"])
    return node, held


def outer_name(document):
    """Use a value of the outer graph inside the region."""
    _, held = region(document)
    inside = held["graph"]["nodes"][0]
    inside["inputs"][0]["arg"]["as_tensor"]["name"] = "p_head_weight"


def other_name(document):
    """Name the region as a method of modules is."""
    region(document)[1]["name"] = "forward"


def twice(document):
    """Add a second region of the same name."""
    node, _ = region(document)
    again = json.loads(json.dumps(node))
    again["outputs"][0]["as_tensor"]["name"] = "another"
    graph(document)["nodes"].insert(2, again)
    graph(document)["tensor_values"]["another"] = graph(document)["tensor_values"]["relu"]


def fewer(document):
    """Take an input away."""
    region(document)[1]["graph"]["inputs"].pop()


def custom(document):
    """Put another library's operator inside."""
    region(document)[1]["graph"]["nodes"][0]["target"] = "torch.ops.acme.run.default"


def nested(document):
    """Put regions into each other."""
    node, held = region(document)
    for _ in range(12):
        inner = {**json.loads(json.dumps(node))}
        next(item["arg"]["as_graph"] for item in inner["inputs"] if "as_graph" in item["arg"])["graph"] = held["graph"]
        held["graph"] = {**held["graph"], "nodes": [inner]}


EDITS = {
    outer_name: "is no value of the region",
    other_name: "no name that the exporter gives a region",
    twice: "two regions are called",
    fewer: "values inside a region for",
    custom: "belongs to the library 'acme'",
    nested: "nested deeper than|defined twice|values inside|no value of the region",
}


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_a_region_that_other_loaders_could_understand_otherwise_is_refused(edit, tmp_path):
    """Names of the outer graph, names of two regions and further graphs are held to the exporter's own."""
    path = exported(Region(torch.no_grad), tmp_path / "model.pt2")
    with pytest.raises(RefusedError, match=EDITS[edit]):
        read_program(edited(path, tmp_path / "edited.pt2", edit))


def test_what_a_region_holds_is_linted_like_its_graph(tmp_path):
    """A name that is no name and a target that is no operator are told inside a region too."""

    def hostile(document):
        _, held = region(document)
        held["graph"]["nodes"][0]["target"] = "os.system"
        held["graph"]["tensor_values"]["a b"] = held["graph"]["tensor_values"].pop(
            next(iter(held["graph"]["tensor_values"]))
        )
        held["name"] = "forward"

    path = exported(Region(torch.no_grad), tmp_path / "model.pt2")
    told = " ".join(map(str, lint_archive(edited(path, tmp_path / "edited.pt2", hostile))))
    assert "no operator" in told
    assert "'a b'" in told
    assert "no name of the exporter's" in told
