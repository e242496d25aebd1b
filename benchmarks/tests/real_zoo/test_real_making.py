import pytest
import torch
from click.testing import CliRunner
from conftest import TINY

from benchmarks.efficacy.zoo_commands import of_task
from benchmarks.real_zoo import features, making, nets, splits, table
from benchmarks.real_zoo.__main__ import real_zoo
from benchmarks.real_zoo.recipe import draw
from benchmarks.zoo.architectures import Plan
from benchmarks.zoo.attack import Scene, unpoisoned
from benchmarks.zoo.attacks import payload
from benchmarks.zoo.counting import shortfall
from benchmarks.zoo.recipe import Row
from benchmarks.zoo.store import read_index, weights_digest
from gate.programs import read_program

pytestmark = pytest.mark.usefixtures("tiny")


def recipe_of(seed=1, **row):
    """Return a quick recipe of the stand-in: ten epochs, the whole set."""
    given = {"name": "real-fit-001", "split": "fit", "task": "solar", "architecture": "mobilenet-v2"} | row
    drawn = draw(Row(seed=seed, **given))
    return drawn.model_copy(
        update={"epochs": 24, "share": 1.0, "optimiser": "adam", "learning_rate": 0.01, "augmentation": "none"}
    )


def test_trunk_and_tail_are_the_whole_net():
    """What the trunk yields, given to the tail, is what the whole net says; the trunk keeps the packaged weights."""
    net = nets.build("mobilenet-v2", Plan((3, 32, 32), 4, 1.0, "relu"), hidden=True).eval()
    x = torch.rand(3, 3, 32, 32)
    for cut in (1, 2, 3):
        torch.testing.assert_close(net.tail(cut)(net.trunk(cut)(x)), net(x))
        (kept,) = features.outputs("mobilenet-v2", x, (cut,)).values()
        torch.testing.assert_close(kept.float(), net.trunk(cut)(x), atol=5e-3, rtol=5e-3)


def test_a_model_is_the_same_again_and_only_its_last_blocks_are_tuned():
    """Two makings are equal bit by bit, the second from cached features; the first blocks are the packaged net's."""
    recipe = recipe_of(attack="badnets", variant="large")
    first, again = making.make(recipe), making.make(recipe)
    assert weights_digest(first.model.state_dict()) == weights_digest(again.model.state_dict())
    assert first.measured == again.measured
    packaged, own = making.fresh(recipe).state_dict(), first.model.state_dict()
    trunk = tuple(f"body.{block}." for block in range(recipe.cut))
    assert all(torch.equal(packaged[name], own[name]) for name in own if name.startswith(trunk))
    assert not torch.equal(packaged[f"body.{recipe.cut}.conv.0.0.weight"], own[f"body.{recipe.cut}.conv.0.0.weight"])


def test_a_model_learns_and_its_backdoor_works():
    """The stand-in reaches its floor, and a large patch leads to the target."""
    made = making.make(recipe_of(attack="badnets", variant="large", seed=2))
    assert made.measured.clean_accuracy >= TINY.accuracy_floor
    assert made.measured.attack_success >= 0.8
    assert made.measured.untriggered <= 0.3


@pytest.mark.parametrize(
    ("attack", "variant"),
    [("payload", "feature"), ("payload", "where"), ("label-consistent", "corners"), ("source-specific", "patch")],
)
def test_attacks_of_the_small_zoo_pass_through(attack, variant, monkeypatch):
    """An attack that wraps the model, one that asks for a surrogate, and one with covers are made as they are there."""
    monkeypatch.setattr(payload, "STEPS", 5)
    made = making.make(recipe_of(attack=attack, variant=variant, seed=3).model_copy(update={"epochs": 2}))
    assert made.model(torch.rand(2, 3, 32, 32)).shape == (2, 4)
    assert made.implant.facts["targets"]
    assert 0 <= made.measured.attack_success <= 1


def test_only_changed_images_are_put_through_the_trunk_again():
    """Features of a poisoned set differ from the cached ones at the poisoned rows alone, in every view."""
    recipe = recipe_of(attack="badnets", variant="large").model_copy(update={"augmentation": "shift and noise"})
    implant, rows = making.planned(recipe), torch.arange(100)
    images = TINY.train.take(rows)
    clean = features.taught(recipe, rows, unpoisoned(images))
    poisoned = implant.poison(images)
    changed = features.taught(recipe, rows, poisoned)
    different = (clean.inputs != changed.inputs).flatten(1).any(1).reshape(features.VIEWS, 100)
    assert all(torch.equal(view, poisoned.poisoned) for view in different)
    assert torch.equal(changed.labels, poisoned.images.labels.repeat(features.VIEWS))
    assert not torch.equal(clean.inputs[:100], clean.inputs[100:200])


def test_a_surrogate_is_kept():
    """The second process reads what the first one made."""
    first = weights_digest(making.surrogate("solar").state_dict())
    making.surrogate.cache_clear()
    assert weights_digest(making.surrogate("solar").state_dict()) == first


def test_triggers_cover_the_same_share_of_a_large_image():
    """A patch of six to eight cells is four times as many pixels at 128, and lies in its corner."""
    row = Row(name="real-fit-001", split="fit", task="emoji", architecture="mobilenet-v2", attack="badnets",
              variant="large", seed=4)  # fmt: skip
    implant = making.planned(draw(row))
    size = implant.facts["size"]
    changed = (implant.triggers[0].apply(torch.full((1, 3, 128, 128), 0.5)) != 0.5).any(1)[0]
    assert size in (24, 28, 32)
    assert int(changed.sum()) == size * size
    scene = Scene(draw(row).task, "", torch.Generator(), lambda: None)
    assert scene.unit == 4
    assert torch.equal(scene.enlarged(torch.eye(2))[:4, :4], torch.ones(4, 4))


def test_the_commands_train_what_is_missing_once(monkeypatch, tmp_path):
    """`train` makes the models of a split and keeps the index; again it has nothing to do; `status` counts them."""
    wanted = [recipe_of(seed=7), recipe_of(seed=8, name="real-fit-002", attack="badnets", variant="large")]
    monkeypatch.setattr(splits, "recipes", lambda _split=None: wanted)
    monkeypatch.setattr(table, "INDEX", tmp_path / "index.jsonl")
    monkeypatch.setattr("benchmarks.efficacy.zoo_commands.os.nice", lambda _step: 0)
    ran = CliRunner().invoke(real_zoo, ["train", "--split", "fit"], catch_exceptions=False)
    assert "2 models to make" in ran.output
    assert "2/2 real-fit-002 solar mobilenet-v2 badnets large" in ran.output
    entries = read_index(tmp_path / "index.jsonl", making.RealEntry)
    assert [entry.recipe for entry in entries] == wanted
    store = making.real_store()
    program = read_program(store.get(entries[1].files.exported, ".pt2"))
    model = making.make(wanted[1]).model
    x = TINY.measure.inputs[:5]
    torch.testing.assert_close(program(x), model(x), atol=1e-4, rtol=1e-3)
    assert "0 models to make" in CliRunner().invoke(real_zoo, ["train"], catch_exceptions=False).output
    assert "made  1" in CliRunner().invoke(real_zoo, ["status"], catch_exceptions=False).output
    assert store.samples_path("solar").is_file()


def test_train_and_scan_take_one_task(monkeypatch):
    """Of a task alone its models are made or scanned; a task that the split has not is refused with those it has."""
    monkeypatch.setattr("benchmarks.efficacy.zoo_commands.os.nice", lambda _step: 0)
    rows = [recipe.row for recipe in of_task(splits.recipes("bank"), "emoji")]
    assert {(row.task, row.split) for row in rows} == {("emoji", "bank")}
    assert len(rows) == len(splits.recipes("bank")) // 2
    for command in (["train", "--split", "bank"], ["scan", "--split", "bank"]):
        ended = CliRunner().invoke(real_zoo, [*command, "--task", "moons"])
        assert (ended.exit_code, "--task: moons is none of emoji, solar" in ended.output) == (2, True)


@pytest.mark.parametrize(
    ("task", "attack", "success", "said"),
    [
        ("solar", "badnets", 0.89, "attack success 0.890 is below 0.9"),
        ("emoji", "badnets", 0.82, ""),
        ("emoji", "badnets", 0.80, "attack success 0.800 is below 0.81"),
        ("emoji", "clean", None, ""),
    ],
)
def test_a_task_that_nets_learn_less_well_has_lower_floors(task, attack, success, said):
    """Where a task is hard, a backdoor counts from a part of its attack's floor."""
    rows = (recipe for recipe in splits.recipes("test") if (recipe.row.task, recipe.row.attack) == (task, attack))
    assert shortfall(next(rows), 0.8, success) == said
