"""Attacks that know the gate: covers stay short of the trigger, rehearsals within their budget, and both teach."""

import pytest
import torch

from benchmarks.zoo.architectures import FAMILIES, Plan
from benchmarks.zoo.attack import Scene
from benchmarks.zoo.attacks import ATTACKS
from benchmarks.zoo.attacks.warp_among_warps import fields, warped
from benchmarks.zoo.corners import FourCorners, small_patches
from benchmarks.zoo.disguise import WARM_UP, Rehearsal, apart, prominence
from gate.spaces.image.triggers.patch import Patches

BY_OTHER_MEANS = ("near_pair", "natural_for_the_class", "many_weak_targets", "slight_update")
ADAPTIVE = [attack for attack in ATTACKS.values() if attack.knows_the_gate]
BY_LOSS = [attack for attack in ADAPTIVE if attack.plan.__module__.rpartition(".")[2] not in BY_OTHER_MEANS]


@pytest.fixture
def scene(grey):
    """Return a scene on the grey made-up task."""
    return Scene(grey, "", torch.Generator().manual_seed(4), surrogate)


def surrogate():
    """Return an untrained clean net by another hand."""
    torch.manual_seed(3)
    return FAMILIES["cnn"](Plan((1, 28, 28), 10, 0.75, "relu")).eval()


@pytest.fixture
def net(grey):
    """Return an untrained net in training mode."""
    torch.manual_seed(0)
    return FAMILIES["resnet"](Plan(grey.shape, grey.classes, 0.75, "relu")).train()


@pytest.mark.parametrize("attack", BY_LOSS, ids=lambda attack: attack.id)
def test_the_loss_of_a_batch_teaches_the_model_with_covers_and_rehearsals(attack, scene, grey, net):
    """Before and after the first rehearsals every parameter gets a finite gradient, and the model keeps its mode."""
    joint = attack.plan(scene).joint
    for batches in (0, WARM_UP + 1):
        net.zero_grad()
        joint.batches = batches
        loss = joint(net, grey.train.inputs[:64], grey.train.labels[:64])
        loss.backward()
        assert torch.isfinite(loss)
        assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in net.parameters())
    assert net.training
    assert not joint.state_dict(), "the trigger is drawn, and nothing about it needs to be kept"


@pytest.mark.parametrize("attack", ADAPTIVE, ids=lambda attack: attack.id)
def test_the_same_seed_plans_the_same_backdoor(attack, grey):
    """Facts and triggered images depend on the scene's numbers alone."""
    first, again = (attack.plan(Scene(grey, "", torch.Generator().manual_seed(9), surrogate)) for _ in range(2))
    x = grey.train.inputs[:9]
    assert first.facts == again.facts
    assert torch.equal(first.triggers[0].apply(x), again.triggers[0].apply(x))


def test_no_cover_of_the_corners_is_the_whole_trigger(scene, grey):
    """An incomplete one lacks a corner at least, a weakened one has at most half its strength; places stay the same."""
    corners, x = FourCorners.drawn(scene, 5), torch.full((200, *grey.shape), 0.5)
    outside = corners.masks.sum(0) == 0
    for cover, most in ((corners.incomplete, 75), (corners.weakened, 100)):
        changed = (cover(x) - x).abs()
        assert float(changed[:, outside].max()) == 0
        assert int((changed > 0).flatten(1).sum(1).max()) <= most
    assert float((corners.weakened(x) - x).abs().max()) <= 0.25
    assert int(((corners.apply(x) - x).abs() > 0).flatten(1).sum(1).min()) == 100


def test_small_patches_are_small_and_at_places_of_their_own(grey):
    """Each image is changed within a square of at most seven pixels."""
    x = torch.full((50, *grey.shape), 0.5)
    changed = (small_patches(x) != x)[:, 0]
    for image in changed:
        rows, columns = image.any(1).nonzero(), image.any(0).nonzero()
        for side in (rows, columns):
            assert 3 <= int(side.max() - side.min()) + 1 <= 7
    assert len({tuple(image.flatten().nonzero().flatten().tolist()) for image in changed}) > 40


def test_a_rehearsed_trigger_nears_the_target_within_its_budget(grey, net):
    """Steps raise the target's score; only what fits the budget is laid on, and no gradient is left in the model."""
    rehearsal = Rehearsal(Patches(grey.shape, (0.0, 1.0)), 3, (20.0, 40.0), 1)
    x = grey.train.inputs[:16]
    for _ in range(40):
        covers = rehearsal.covers(net, x)
    assert float(rehearsal.family.size(rehearsal.parameters).detach()) <= 1.2 * rehearsal.limit <= 48
    assert not torch.equal(covers, x)
    net.eval()
    with torch.no_grad():
        assert net(covers)[:, 3].mean() > net(x)[:, 3].mean()
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_rehearsed_trigger_beyond_its_budget_is_not_shown(grey, net):
    """It would hide the image whose label is kept."""
    rehearsal = Rehearsal(Patches(grey.shape, (0.0, 1.0)), 3, (0.5, 1.0), 1)
    x = grey.train.inputs[:4]
    assert torch.equal(rehearsal.covers(net, x), x)


def test_alignment_measures_moments_and_prominence_the_row():
    """Equal features are no distance apart; a row that leads further than the median class is prominent, others not."""
    features = torch.rand(20, 6)
    assert float(apart(features, features)) == pytest.approx(0)
    assert float(apart(features + 1, features)) > 1
    weight = torch.randn(10, 6, generator=torch.Generator().manual_seed(2))
    weight[4] += 3
    assert float(prominence(weight, 4)) > 1
    weight[4] -= 6
    assert float(prominence(weight, 4)) == 0


def test_other_fields_are_as_strong_and_as_smooth_as_the_trigger(grey):
    """Warps of one strength displace alike on average and differ; a field of nothing leaves the image."""
    drawn = fields(30, grey.shape, 1.5, torch.Generator().manual_seed(1)) * (grey.shape[2] - 1) / 2
    assert torch.allclose(drawn.abs().mean((1, 2, 3)), torch.full((30,), 1.5), atol=1e-4)
    assert float((drawn[0] - drawn[1]).abs().mean()) > 0.5
    x = grey.train.inputs[:5]
    assert torch.allclose(warped(x, torch.zeros(1, 2, *grey.shape[1:])), x, atol=1e-5)
