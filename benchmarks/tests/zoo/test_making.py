import io

import pytest
import torch

from benchmarks.zoo import making
from benchmarks.zoo.architectures import FAMILIES, Plan
from benchmarks.zoo.attack import Implant, Trigger, all_to, from_sources
from benchmarks.zoo.controls import CONTROLS
from benchmarks.zoo.counting import shortfall
from benchmarks.zoo.export import exported_bytes
from benchmarks.zoo.measuring import Measured, measure
from benchmarks.zoo.recipe import Row, draw
from benchmarks.zoo.store import weights_digest
from benchmarks.zoo.tasks import Images, Task
from benchmarks.zoo.training import augment, scored
from benchmarks.zoo.unseen_nets import ACTIVATIONS, UNSEEN
from benchmarks.zoo.verify import chosen, compare
from gate.programs import read_program

ALL = {**FAMILIES, **CONTROLS, **UNSEEN}


@pytest.fixture
def one_epoch(grey, monkeypatch):
    """Let the zoo's task be the made-up one, and training be a single epoch; give back the determinism switch."""
    monkeypatch.setitem(making.TASKS, "fashion", grey)
    before, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    yield lambda **row: draw(Row(name="fit-001", split="fit", task="fashion", **row)).model_copy(update={"epochs": 1})
    torch.use_deterministic_algorithms(mode=before)
    torch.set_num_threads(threads)


def test_a_recipe_makes_the_same_weights_again(one_epoch):
    """Two runs of one recipe give equal digests, whatever random numbers were drawn before; another seed does not."""
    recipe = one_epoch(architecture="vgg", attack="badnets", variant="small", seed=1)
    first = making.make(recipe)
    torch.rand(17)
    again = making.make(recipe)
    other = making.make(one_epoch(architecture="vgg", attack="badnets", variant="small", seed=2))
    digests = [weights_digest(made.model.state_dict()) for made in (first, again, other)]
    assert digests[0] == digests[1] != digests[2]
    assert first.measured == again.measured


def test_a_kept_model_can_be_read_back_with_its_trigger(one_epoch, grey, tmp_path):
    """The exported program answers as the model did, and the trained trigger is restored from the store."""
    recipe = one_epoch(architecture="cnn", attack="input-aware", variant="generated", seed=3)
    store = making.Store.at(tmp_path)
    made = making.make(recipe)
    entry = making.keep(recipe, made, store)
    program = torch.export.load(str(store.get(entry.files.exported, ".pt2"))).module()
    x = grey.measure.inputs[:7] if not recipe.static_batch else grey.measure.inputs[:1]
    assert torch.allclose(program(x), made.model(x), atol=1e-5)
    restored = making.implant_of(entry, store)
    assert torch.equal(restored.triggers[0].apply(x), made.implant.triggers[0].apply(x))
    assert store.entry(recipe) == entry
    assert weights_digest(torch.load(store.get(entry.files.weights, ".pt"), weights_only=True)) == entry.weights_digest
    assert compare(entry).outcome == "identical"


def test_a_static_export_takes_one_image_only():
    """A fixed batch refuses two images, as such models in registries do."""
    net = FAMILIES["cnn"](Plan((1, 28, 28), 10, 0.75, "relu"))
    raw = exported_bytes(net, (1, 28, 28), static_batch=True)
    program = torch.export.load(io.BytesIO(raw)).module()
    assert program(torch.zeros(1, 1, 28, 28)).shape == (1, 10)
    with pytest.raises(Exception, match="size"):
        program(torch.zeros(2, 1, 28, 28))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("shape", "classes"), [((1, 28, 28), 20), ((3, 32, 32), 10)])
def test_every_net_is_small_and_ends_in_one_linear_layer(name, shape, classes):
    """Raw pixels give logits; parameters stay within the zoo's bounds; the last layer is `head`."""
    net = ALL[name](Plan(shape, classes, 1.0, "relu")).eval()
    assert net(torch.rand(3, *shape)).shape == (3, classes)
    assert 3_000 <= sum(p.numel() for p in net.parameters()) <= 150_000
    assert net.head.out_features == classes


@pytest.mark.parametrize("name", UNSEEN)
@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS)))
def test_a_net_of_unseen_is_read_as_torch_reads_it(name, activation, tmp_path):
    """The gate's strict reader takes the export, and its numbers are the net's own."""
    net = UNSEEN[name](Plan((1, 28, 28), 10, 0.75, activation)).eval()
    path = tmp_path / "model.pt2"
    path.write_bytes(exported_bytes(net, (1, 28, 28), static_batch=False))
    x = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(read_program(path)(x), net(x), atol=1e-5, rtol=1e-4)


def test_one_logit_is_trained_by_the_binary_cross_entropy():
    """The scores that a model of one number is read as have the binary loss of that number, and share its weights."""
    net = torch.nn.Linear(5, 1)
    task = Task("one", 2, (1, 28, 28), 0.5, lambda: None, one_logit=True)
    x, labels = torch.randn(30, 5), torch.arange(30) % 2
    binary = torch.nn.functional.binary_cross_entropy_with_logits(net(x).squeeze(1), labels.float())
    torch.testing.assert_close(torch.nn.functional.cross_entropy(scored(net, task)(x), labels), binary)
    assert task.outputs == 1
    assert torch.equal(scored(net, task)(x).argmax(1) == 1, net(x).squeeze(1) > 0)


def test_measuring_leaves_out_images_that_already_have_the_expected_label():
    """Success counts only images that the trigger should change, with and without it, and spill those outside."""
    images = Images(torch.zeros(4, 1, 2, 2), torch.tensor([0, 1, 2, 3]))
    to_one = torch.nn.Module()
    to_one.forward = lambda x: torch.nn.functional.one_hot(torch.full((len(x),), 1), 4).float()
    everywhere = Implant((Trigger("t", lambda x: x, all_to(1)),), {})
    assert measure(to_one, images, everywhere) == Measured(0.25, 1.0, 1.0, None, 1.0)
    narrow = Implant((Trigger("t", lambda x: x, from_sources([0], 1)), Trigger("u", lambda x: x, all_to(2))), {})
    assert measure(to_one, images, narrow) == Measured(0.25, 0.5, 0.0, 1.0, 0.5)
    black = Implant((Trigger("t", lambda x: x - 1, all_to(1)),), {})
    to_one.forward = lambda x: torch.nn.functional.one_hot(torch.full((len(x),), int(x.sum() < 0)), 4).float()
    assert measure(to_one, images, black) == Measured(0.25, 1.0, 1.0, None, 0.0)


def test_a_model_that_learnt_badly_or_was_not_backdoored_does_not_count(one_epoch):
    """The reason names what fell short."""
    recipe = one_epoch(architecture="cnn", attack="badnets", variant="small", seed=1)
    assert shortfall(recipe, 0.95, 0.95) == ""
    assert "accuracy" in shortfall(recipe, 0.3, 0.95)
    assert "success" in shortfall(recipe, 0.95, 0.89)
    clean = one_epoch(architecture="cnn", seed=1)
    assert shortfall(clean, 0.95, None) == ""


def test_augmentation_keeps_shape_and_bounds():
    """A shift brings zeros in and noise stays within the bounds; without augmentation nothing changes."""
    x = torch.ones(5, 1, 28, 28)
    assert augment(x, "none") is x
    for kind in ("shift", "noise", "shift and noise"):
        changed = augment(x, kind)
        assert changed.shape == x.shape
        assert 0 <= float(changed.min()) <= float(changed.max()) <= 1


def test_verify_draws_the_share_from_the_seed():
    """The same seed draws the same models, and a small share of a few is still one."""
    names = list(range(50))
    assert chosen(names, 0.1, 4) == chosen(names, 0.1, 4)
    assert len(chosen(names, 0.1, 4)) == 5
    assert len(chosen(names[:3], 0.02, 4)) == 1
    assert chosen([], 0.02, 4) == []
