"""The rows of the zoo of texts are what was promised, and apart."""

from collections import Counter

from benchmarks.real_zoo import splits as real
from benchmarks.text_zoo.attack import ATTACKS, VARIANTS, half_of
from benchmarks.text_zoo.nets import ARCHITECTURES
from benchmarks.text_zoo.recipe import FLOORS, draw
from benchmarks.text_zoo.splits import CLEAN_PER_TASK, FIRST_SEED, counted, drawn, recipes, rows, tried_row
from benchmarks.text_zoo.texts import TASKS
from benchmarks.zoo import splits as small
from benchmarks.zoo.recipe import CLEAN


def test_the_committed_rows_of_texts_are_the_drawn_ones():
    """What is written down is what the code draws, so that neither can drift from the other."""
    assert list(rows()) == drawn()


def test_each_task_has_its_share_of_clean_and_attacked_models():
    """Sixty in fit, twenty clean a task to calibrate, twenty and twenty to test; architectures take equal parts."""
    counts = Counter((row.split, row.task, row.attack == CLEAN) for row in rows())
    for task in TASKS:
        assert counts["calibrate", task, True] == 20
        assert (counts["test", task, True], counts["test", task, False]) == (20, 20)
        assert (counts["fit", task, True], counts["fit", task, False]) == (8, 12)
        for split, count in CLEAN_PER_TASK.items():
            nets = Counter(r.architecture for r in rows() if (r.split, r.task, r.attack) == (split, task, CLEAN))
            assert nets == dict.fromkeys(ARCHITECTURES, count // len(ARCHITECTURES))
    assert Counter(row.split for row in rows()) == {"fit": 60, "calibrate": 60, "test": 120}


def test_each_attack_is_on_every_architecture_and_half_listed():
    """Ten rows an attack in test, five of them with what the gate's lists have, and no task has one half alone."""
    for attack in ATTACKS:
        mine = [row for row in rows() if (row.split, row.attack) == ("test", attack)]
        assert Counter(row.variant for row in mine) == dict.fromkeys(VARIANTS, 5)
        assert {row.architecture for row in mine} == set(ARCHITECTURES)
        for task in {row.task for row in mine}:
            assert {row.variant for row in mine if row.task == task} == set(VARIANTS)
    assert {row.task for row in rows() if row.attack == "source-specific"} == {"news"}


def test_any_beginning_of_a_split_is_a_fair_part():
    """Rows are shuffled: the first half of test has about half of the clean and of each task."""
    first = [row for row in rows() if row.split == "test"][:60]
    assert 20 <= sum(row.attack == CLEAN for row in first) <= 40
    assert min(Counter(row.task for row in first).values()) >= 12


def test_no_seed_of_texts_is_in_two_splits_nor_in_another_zoo():
    """Nothing of test was seen before, and the seeds for trying rates lie below all of them."""
    seeds = [row.seed for row in (*rows(), *small.rows(), *real.rows())]
    assert len(seeds) == len(set(seeds))
    assert {row.seed // 10_000 * 10_000 for row in rows()} == set(FIRST_SEED.values())
    assert tried_row("spam", "bilstm", CLEAN, "listed", 7).seed < min(seeds[: len(rows())])


def test_recipes_of_texts_differ_and_are_drawn_from_the_seed_alone():
    """Keys are all different; within a bank every setting occurs; every task and architecture has a floor."""
    keys = [recipe.key for recipe in recipes()]
    assert len(keys) == len(set(keys)) == len(rows())
    bank = recipes("calibrate")
    assert len({recipe.share for recipe in bank}) == len({recipe.batch_size for recipe in bank}) == 3
    assert {recipe.optimiser for recipe in bank} == {"adam", "adamw"}
    for row in rows()[:20]:
        assert draw(row) == draw(row)
        assert draw(row).task is TASKS[row.task]
    assert all(set(FLOORS[task]) == set(ARCHITECTURES) for task in TASKS)


def test_rows_are_counted_and_halves_told():
    """Every split and attack has a line; only test draws from its own half of the words."""
    said = counted()
    assert len(said) == 7 + 1 + 7
    assert said[0].split() == ["fit", "clean", "spam", "8,", "news", "8,", "sentiment", "8"]
    assert [half_of(split) for split in FIRST_SEED] == ["fit", "fit", "test"]
