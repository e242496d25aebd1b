"""What is said to be lost is lost, and what is not said is there: each sentence against torch's own loader."""

import pytest
import torch
from torch import nn
from torch.export.passes import move_to_device_pass

from gate.check.bundle.losses import losses
from gate.programs import read_program
from gate.programs.writer.write import write_program
from gate.records.signature import Parameter, Signature
from gate.records.written_program import Composed, TensorInput
from tests.check.bundle.composing import pictures, tensor_inputs

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own, while it exports

ORIGINS = ("pt2", "pickle", "converted", "onnx")
PICTURE = TensorInput(name="x", shape=(None, 1, 8, 8), dtype="float32")
FIXED = TensorInput(name="x", shape=(3, 1, 8, 8), dtype="float32")


class Network(nn.Module):
    """A network with a method, an attribute, submodules, dropout and a constant that is made where the input lies."""

    def __init__(self):
        """Fill it with numbers that are always the same."""
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Linear(144, 4)
        self.labels = ["a", "b", "c", "d"]

    def forward(self, x):
        """Return four scores a picture."""
        return self.head(self.body(x).flatten(1)) + torch.arange(4, device=x.device)

    def label(self, x):
        """Return what the first picture shows."""
        return self.labels[int(self(x)[0].argmax())]


@pytest.fixture(scope="module", params=[True, False], ids=["free batch", "fixed batch"])
def both(request, tmp_path_factory):
    """Return the network, the exported program as torch saved it, and the one that the gate wrote of it."""
    folder = tmp_path_factory.mktemp("program")
    network = Network().eval()
    free = ({0: torch.export.Dim("batch")},) if request.param else None
    torch.export.save(torch.export.export(network, (pictures(3),), dynamic_shapes=free), folder / "own.pt2")
    program = read_program(folder / "own.pt2")
    write_program(program, folder / "gate.pt2")
    said = " ".join(losses("pickle", tensor_inputs(program)))
    return network, folder / "own.pt2", folder / "gate.pt2", said, request.param


def module_of(path):
    """Return what `mlflow.pytorch` hands to a consumer."""
    return torch.export.load(path).module()


def test_names_of_tensors_are_kept(both):
    """Of an exported program and of a network alike."""
    network, own, gate, _, _ = both
    kept = module_of(gate).state_dict()
    assert list(kept) == list(module_of(own).state_dict()) == list(network.state_dict())
    assert all(torch.equal(kept[name], value) for name, value in network.state_dict().items())
    assert set(torch.export.load(gate).state_dict) == set(network.state_dict())


def test_an_exported_program_loses_what_is_said(both):
    """Unflattening, stack traces and example inputs other than zeros; the candidate's own program has them."""
    _, own, gate, _, _ = both
    said = losses("pt2", (PICTURE,))[0]
    assert torch.equal(torch.export.unflatten(torch.export.load(own))(pictures(3)), module_of(gate)(pictures(3)))
    assert "torch.export.unflatten does not" in said
    with pytest.raises(ValueError, match="unpack"):
        torch.export.unflatten(torch.export.load(gate))
    assert "Stack traces" in said
    assert "example inputs are zeros" in said
    for path, has in ((own, True), (gate, False)):
        program = torch.export.load(path)
        assert bool(program.example_inputs[0][0].any()) is has
        assert any("stack_trace" in node.meta for node in program.graph.nodes) is has


def test_both_refuse_the_same_sizes_and_modes(both):
    """Fixed sizes, keywords, train() and eval() are as they are in the candidate's own exported program."""
    network, own, gate, _, free = both
    for path in (own, gate):
        module = module_of(path)
        for size in ((3, 1, 9, 9), (3, 2, 8, 8), *(() if free else ((5, 1, 8, 8),))):
            with pytest.raises((AssertionError, RuntimeError)):
                module(torch.zeros(size))
        if free:
            torch.testing.assert_close(module(pictures(64)), network(pictures(64)))
        with pytest.raises(ValueError, match="keyword"):
            module(x=pictures(3))
        with pytest.raises(NotImplementedError):
            module.train()
        with pytest.raises(NotImplementedError):
            module.eval()


def test_a_network_loses_what_is_said(both):
    """Its class and its submodules; hooks on the whole and gradients are still there, and not said to be lost."""
    network, _, gate, said, free = both
    module = module_of(gate)
    assert "own class is left behind" in said
    assert network.label(pictures(1)) in network.labels
    assert not hasattr(module, "label")
    assert not hasattr(module, "labels")
    assert "cannot be called, replaced or hooked one by one" in said
    called = []
    module.body.register_forward_hook(lambda *_: called.append("body"))
    module.register_forward_hook(lambda *_: called.append("whole"))
    assert module(pictures(3)).requires_grad
    assert called == ["whole"]
    with pytest.raises(NotImplementedError):
        module.head(torch.zeros(1, 144))
    assert "train() and eval() raise an error" in said
    assert f"x takes float32 {'any' if free else 3} × 1 × 8 × 8" in said
    assert ("Any number of samples" in said) is free
    assert ("fixed to 3" in said) is not free


def test_a_program_is_moved_by_the_pass_and_not_by_to(both):
    """Devices that the network asked for are fixed in its operators; torch's pass moves these too."""
    _, _, gate, said, _ = both
    assert "move_to_device_pass" in said
    moved = move_to_device_pass(torch.export.load(gate), "meta").module()
    assert moved(pictures(3).to("meta")).device.type == "meta"
    with pytest.raises((NotImplementedError, RuntimeError)):
        module_of(gate).to("meta")(pictures(3).to("meta"))


def test_conditions_on_free_sizes_are_no_longer_checked_first(tmp_path):
    """The candidate's program refuses an odd batch by a guard; the written one by the operator that cannot do it."""

    class Pairs(nn.Module):
        def forward(self, x):
            return x.reshape(-1, 2, 8).sum(1)

    free = ({0: torch.export.Dim.AUTO},)
    torch.export.save(torch.export.export(Pairs(), (torch.zeros(6, 8),), dynamic_shapes=free), tmp_path / "own.pt2")
    write_program(read_program(tmp_path / "own.pt2"), tmp_path / "gate.pt2")
    with pytest.raises(AssertionError, match="Guard failed"):
        module_of(tmp_path / "own.pt2")(torch.zeros(5, 8))
    with pytest.raises(RuntimeError, match="invalid for input of size"):
        module_of(tmp_path / "gate.pt2")(torch.zeros(5, 8))
    said = [any("condition" in line for line in losses("pt2", (one,))) for one in (PICTURE, FIXED)]
    assert said == [True, False]


@pytest.mark.parametrize("origin", ORIGINS)
def test_sentences_are_for_a_terminal(origin):
    """One line each, whole sentences, none twice; an exported program has fewer."""
    params = Signature(params=tuple(Parameter(name=f"p{n}", type="long", default=1) for n in range(12)))
    said = losses(origin, (FIXED, PICTURE.model_copy(update={"name": "y"})), params)
    assert len(set(said)) == len(said)
    assert all(line[0].isupper() or line.startswith("train()") for line in said)
    assert all(line.endswith(".") and line.isprintable() and len(line) < 400 for line in said)
    assert ("x takes float32 3 × 1 × 8 × 8; y takes float32 any × 1 × 8 × 8" in " ".join(said)) is (origin != "pt2")
    assert "p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 and 2 more" in said[-1]
    assert losses(origin, (FIXED,), Signature(inputs=None, params=None, outputs=params.outputs or _scores())) == losses(
        origin, (FIXED,)
    )


def _scores():
    """Return an output of one column."""
    from gate.records.signature import Column

    return (Column(type="double"),)


def test_of_a_pipeline_its_reading_of_images_and_its_versions_are_told():
    """The size that an image must have, what the pixels are, and who composed the network."""
    composed = Composed(network="ViTForImageClassification", version="5.24.0", claimed="", resized="resized to 8 × 8")
    first, second, *_ = losses("composed", (PICTURE,), composed=composed)
    assert "pixels from 0 to 255, channels first (any × 1 × 8 × 8)" in first
    assert "In the pipeline an image is resized to 8 × 8: do the same before it." in first
    assert "transformers 5.24.0 composed ViTForImageClassification here; the candidate names none" in second
