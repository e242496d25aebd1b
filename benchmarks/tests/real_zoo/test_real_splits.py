from collections import Counter

from benchmarks.real_zoo.imagenet import IMAGENET
from benchmarks.real_zoo.nets import CUTS
from benchmarks.real_zoo.recipe import ALL_TASKS, draw
from benchmarks.real_zoo.splits import ATTACKED_PER_TASK, FIRST_SEED, drawn, recipes, rows
from benchmarks.real_zoo.tasks import TASKS
from benchmarks.zoo import splits as small
from benchmarks.zoo.attacks import ATTACKS
from benchmarks.zoo.recipe import CLEAN


def test_the_committed_rows_of_real_size_are_the_drawn_ones():
    """What is written down is what the code draws, so that neither can drift from the other."""
    assert list(rows()) == drawn()


def test_every_task_has_what_was_promised():
    """Twenty-one clean for a bank, twenty clean and thirty of seven attacks to test, both nets within each."""
    counts = Counter((row.split, row.task, row.attack == CLEAN) for row in rows())
    for task in TASKS:
        assert counts["bank", task, True] == 21
        assert (counts["test", task, True], counts["test", task, False]) == (20, 30)
        assert 0 < counts["fit", task, True] + counts["fit", task, False] <= 12
        for split in ("bank", "test"):
            nets = Counter(row.architecture for row in rows() if (row.split, row.task) == (split, task))
            assert abs(nets["mobilenet-v2"] - nets["efficientnet-lite0"]) <= 2
    assert {row.attack for row in rows() if row.split == "test"} == {CLEAN, *ATTACKED_PER_TASK}
    for attack in ATTACKED_PER_TASK:
        mine = [row for row in rows() if (row.split, row.attack) == ("test", attack)]
        assert {row.architecture for row in mine} == set(CUTS)
        assert {row.variant for row in mine} == set(ATTACKS[attack].variants)
        assert not ATTACKS[attack].knows_the_gate


def test_a_thousand_classes_have_five_of_each():
    """Five clean and five planted rows of the one net and the one task."""
    mine = [row for row in rows() if row.split == "thousand"]
    assert Counter(row.attack for row in mine) == {CLEAN: 5, "badnets": 5}
    assert {(row.task, row.architecture) for row in mine} == {(IMAGENET.id, "mobilenet-v2")}
    assert IMAGENET.classes == 1000


def test_no_seed_is_in_two_splits_nor_in_the_small_zoo():
    """Nothing of test was seen before; and the seeds for trying settings lie below all of them."""
    seeds = [row.seed for row in (*rows(), *small.rows())]
    assert len(seeds) == len(set(seeds))
    assert min(row.seed for row in rows()) > 99_999
    assert {row.seed // 10_000 * 10_000 for row in rows()} == set(FIRST_SEED.values())


def test_recipes_differ_as_teams_do():
    """Keys are all different; within the clean rows of a bank every drawn setting occurs."""
    keys = [recipe.key for recipe in recipes()]
    assert len(keys) == len(set(keys)) == len(rows())
    bank = recipes("bank")
    assert {recipe.cut for recipe in bank} == {cut for cuts in CUTS.values() for cut in cuts}
    assert {recipe.hidden for recipe in bank} == {True, False}
    assert {recipe.optimiser for recipe in bank} == {"adam", "adamw", "sgd"}
    assert len({recipe.augmentation for recipe in bank}) == 4
    assert len({recipe.share for recipe in bank}) == 3


def test_a_recipe_is_drawn_from_its_seed_alone():
    """The same row draws the same recipe, of the task that it names."""
    for row in rows()[:20]:
        assert draw(row) == draw(row)
        assert draw(row).task is ALL_TASKS[row.task]
