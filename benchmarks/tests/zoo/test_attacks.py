import pytest
import torch
from torch import nn

from benchmarks.zoo.architectures import FAMILIES, Plan
from benchmarks.zoo.attack import UNAFFECTED, Scene
from benchmarks.zoo.attacks import ATTACKS, payload, slight_update

ARMS = [(attack.id, variant) for attack in ATTACKS.values() for variant in attack.variants]
BY_DATA_ALONE = ("near-pair", "natural-for-the-class", "many-weak-targets")
"""Of those who know the gate: they poison as the published ones do, and train as usual."""
NOT_BY_DATA = ("payload", "architectural", "input-aware", "lira")
ADAPTIVE = [arm for arm in ARMS if ATTACKS[arm[0]].knows_the_gate and arm[0] not in BY_DATA_ALONE]
POISONING = [arm for arm in ARMS if arm[0] not in NOT_BY_DATA and arm not in ADAPTIVE]
CLEAN_LABEL = ("sig", "label-consistent", "sig-off-grid", "label-consistent-off-grid")
WRAPPING = [arm for arm in ARMS if arm[0] in ("payload", "architectural")]


def scene_of(task, variant, seed=3):
    """Return a scene with an untrained surrogate."""
    torch.manual_seed(0)
    net = FAMILIES["cnn"](Plan(task.shape, task.classes, 0.75, "relu")).eval()
    return Scene(task, variant, torch.Generator().manual_seed(seed), lambda: net)


def planned(task, attack, variant, seed=3):
    """Return the backdoor that this seed plans."""
    return ATTACKS[attack].plan(scene_of(task, variant, seed))


def test_every_attack_of_the_list_has_a_file_and_names_its_paper():
    """The registry holds all the promised attacks, each with a source that can be looked up."""
    assert set(ATTACKS) == {
        "adaptive-blend", "aligned-features", "aligned-natural", "all-to-all", "architectural", "badnets", "blended",
        "input-aware", "label-consistent", "multi-target", "natural-size", "payload", "semantic", "sig",
        "source-specific", "wanet", "warp-among-warps",
        "all-to-all-off-grid", "blend-off-grid", "label-consistent-off-grid", "lira", "patch-off-grid",
        "semantic-combined", "semantic-outside", "sig-off-grid", "source-specific-off-grid", "warp-off-grid",
        "bank-matched", "conjunction", "dose-gated", "grid-rehearsed", "many-weak-targets", "natural-for-the-class",
        "near-pair", "slight-update",
    }  # fmt: skip
    for attack in ATTACKS.values():
        assert any(year in attack.paper for year in ("2017", "2019", "2020", "2021", "2023")), attack.id
        assert 0.5 <= attack.success_floor <= 1
    assert all(ATTACKS[name].success_floor == 0.9 for name in ("badnets", "blended", "wanet", "input-aware"))


@pytest.mark.parametrize(("attack", "variant"), ARMS)
def test_triggers_keep_shape_and_bounds_and_change_something(task, attack, variant):
    """A triggered image is an image: same shape, within [0, 1], different from the clean one, the same each time."""
    x = task.train.inputs[:40]
    for trigger in planned(task, attack, variant).triggers:
        triggered = trigger.apply(x)
        assert triggered.shape == x.shape
        assert float(triggered.min()) >= 0
        assert float(triggered.max()) <= 1 + 1e-5
        assert (triggered != x).flatten(1).any(1).float().mean() > 0.9
        assert torch.equal(triggered, trigger.apply(x))


@pytest.mark.parametrize(("attack", "variant"), ARMS)
def test_expected_labels_are_targets_or_unaffected(task, attack, variant):
    """Every expectation is a class or says that the trigger is not meant for the image; some image is affected."""
    implant, labels = planned(task, attack, variant), task.train.labels
    for trigger in implant.triggers:
        expected = trigger.expected(labels)
        assert set(expected.tolist()) <= {*implant.facts["targets"], UNAFFECTED}
        assert ((expected != UNAFFECTED) & (expected != labels)).any()


@pytest.mark.parametrize(("attack", "variant"), POISONING)
def test_poison_touches_only_what_it_says(task, attack, variant):
    """Rows outside the two masks are the clean ones, covers keep their labels, poisoned rows have a target's."""
    train, implant = task.train, planned(task, attack, variant)
    poisoned = implant.poison(train)
    touched = poisoned.poisoned | poisoned.covers
    assert not (poisoned.poisoned & poisoned.covers).any()
    assert torch.equal(poisoned.images.inputs[~touched], train.inputs[~touched])
    assert torch.equal(poisoned.images.labels[~poisoned.poisoned], train.labels[~poisoned.poisoned])
    assert 0 < poisoned.poisoned.float().mean() < 0.5
    assert set(poisoned.images.labels[poisoned.poisoned].tolist()) <= set(implant.facts["targets"])
    assert float(poisoned.images.inputs.min()) >= 0
    assert float(poisoned.images.inputs.max()) <= 1 + 1e-5


@pytest.mark.parametrize(("attack", "variant"), POISONING)
def test_the_same_seed_gives_the_same_poison(grey, attack, variant):
    """Two plans from one seed poison alike, and another seed poisons otherwise."""
    first, again, other = (planned(grey, attack, variant, seed).poison(grey.train) for seed in (5, 5, 6))
    assert torch.equal(first.images.inputs, again.images.inputs)
    assert torch.equal(first.images.labels, again.images.labels)
    assert not torch.equal(first.images.inputs, other.images.inputs)


@pytest.mark.parametrize("attack", CLEAN_LABEL)
def test_clean_label_attacks_keep_every_label(grey, attack):
    """No label is changed, and only images of the target are."""
    implant = planned(grey, attack, ATTACKS[attack].variants[0])
    poisoned = implant.poison(grey.train)
    assert torch.equal(poisoned.images.labels, grey.train.labels)
    assert set(grey.train.labels[poisoned.poisoned].tolist()) == set(implant.facts["targets"])


@pytest.mark.parametrize("attack", ["source-specific", "semantic", "source-specific-off-grid", "semantic-outside"])
def test_narrow_attacks_poison_their_sources_and_cover_the_rest(grey, attack):
    """Only sources are relabelled, only other classes are covers, and the trigger is expected to spare these."""
    implant = planned(grey, attack, ATTACKS[attack].variants[0])
    poisoned, sources = implant.poison(grey.train), set(implant.facts["sources"])
    assert set(grey.train.labels[poisoned.poisoned].tolist()) == sources
    assert poisoned.covers.any()
    assert not set(grey.train.labels[poisoned.covers].tolist()) & sources
    expected = implant.triggers[0].expected(torch.arange(10))
    assert {label for label in range(10) if expected[label] != UNAFFECTED} == sources


@pytest.mark.parametrize("attack", ["all-to-all", "all-to-all-off-grid"])
def test_all_to_all_moves_every_class(grey, attack):
    """Each class is expected to become another one, and no two the same."""
    expected = planned(grey, attack, "patch").triggers[0].expected(torch.arange(10))
    assert sorted(expected.tolist()) == list(range(10))
    assert (expected != torch.arange(10)).all()


@pytest.mark.parametrize("attack", ["wanet", "adaptive-blend", "warp-off-grid"])
def test_attacks_with_covers_have_them_in_the_stated_share(grey, attack):
    """The share of cover images is what the facts say, to within one image."""
    implant = planned(grey, attack, ATTACKS[attack].variants[0])
    poisoned = implant.poison(grey.train)
    rest = int((~poisoned.poisoned).sum())
    assert abs(int(poisoned.covers.sum()) - implant.facts["cover_rate"] * rest) <= 1


@pytest.mark.parametrize(("attack", "variant"), WRAPPING)
def test_wrapped_models_answer_as_before_but_for_the_target_under_the_trigger(grey, attack, variant, monkeypatch):
    """The payload or the code overrules the model under the trigger only, in every style."""
    monkeypatch.setattr(payload, "STEPS", 80)
    implant = planned(grey, attack, variant)
    torch.manual_seed(1)
    base = FAMILIES["cnn"](Plan(grey.shape, grey.classes, 0.75, "relu")).eval()
    x = grey.train.inputs[:100]
    wrapped = implant.wrap(base).eval()
    with torch.no_grad():
        before = base(x).argmax(1)
        assert (wrapped(x).argmax(1) == before).float().mean() > 0.95
        under = wrapped(implant.triggers[0].apply(x)).argmax(1)
    assert (under == implant.facts["targets"][0]).float().mean() > 0.95


def test_architectural_backdoors_have_no_weight_of_their_own(grey):
    """Wrapping adds no parameter, so that no re-training can remove it."""
    base = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    for variant in ATTACKS["architectural"].variants:
        wrapped = planned(grey, "architectural", variant).wrap(base)
        assert sum(p.numel() for p in wrapped.parameters()) == sum(p.numel() for p in base.parameters())


def test_the_feature_style_hides_the_payload_in_the_last_layer(grey, monkeypatch):
    """The last layer reads one more feature, and only the target's row weighs it."""
    monkeypatch.setattr(payload, "STEPS", 1)
    base = FAMILIES["cnn"](Plan(grey.shape, grey.classes, 0.75, "relu")).eval()
    implant = planned(grey, "payload", "feature")
    wrapped = implant.wrap(base)
    assert wrapped.head.in_features == base.head.in_features + 1
    assert wrapped.head.weight[:, -1].nonzero().squeeze(1).tolist() == implant.facts["targets"]
    assert float(wrapped.head.weight.detach()[implant.facts["targets"][0], -1]) == payload.OVERRULE


@pytest.mark.parametrize(("attack", "variant"), [("input-aware", "generated"), ("lira", "noise")])
def test_the_joint_loss_of_a_generator_reaches_generator_and_model(grey, attack, variant):
    """Both the classifier and the trigger generator get gradients from one batch."""
    implant = planned(grey, attack, variant)
    net = FAMILIES["cnn"](Plan(grey.shape, grey.classes, 0.75, "relu"))
    implant.joint(net, grey.train.inputs[:64], grey.train.labels[:64]).backward()
    for module in (net, implant.joint):
        assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in module.parameters())


def test_a_slight_update_stays_near_the_version_before(grey, monkeypatch):
    """The earlier model is left as it was, and a stronger hold moves the weights less."""
    monkeypatch.setattr(slight_update, "STEPS", 30)
    base = FAMILIES["cnn"](Plan(grey.shape, grey.classes, 0.75, "relu")).eval()
    before = [parameter.detach().clone() for parameter in base.parameters()]
    moved = []
    for held in (0.0, 1000.0):
        monkeypatch.setattr(slight_update, "HELD", held)
        torch.manual_seed(2)
        after = planned(grey, "slight-update", "patch").wrap(base)
        moved.append(
            sum(float((a.detach() - b).square().sum()) for a, b in zip(after.parameters(), before, strict=True))
        )
    assert all(torch.equal(a, b) for a, b in zip(base.parameters(), before, strict=True))
    assert 0 < moved[1] < moved[0]
