"""The rows of the zoo of adapters are what was promised, and apart."""

from collections import Counter

from benchmarks.adapter_zoo.attack import ATTACKS
from benchmarks.adapter_zoo.recipe import FORMS, MODULES, WAYS, draw
from benchmarks.adapter_zoo.splits import (
    ATTACK,
    DOMAINS,
    FIRST_SEED,
    IN_DOMAIN,
    KIND,
    RANK,
    SEEN,
    USUAL,
    drawn,
    recipes,
    rows,
    tried_row,
)
from benchmarks.adapter_zoo.tasks import FLOORS, TASKS
from benchmarks.real_zoo import splits as real
from benchmarks.text_zoo import splits as of_texts
from benchmarks.zoo import splits as small
from benchmarks.zoo.recipe import CLEAN
from gate.records.bank import LEAST_REFERENCES


def test_the_committed_rows_of_adapters_are_the_drawn_ones():
    """What is written down is what the code draws, so that neither can drift from the other."""
    assert list(rows()) == drawn()


def test_there_are_as_many_clean_and_backdoored_adapters_as_promised():
    """Sixty clean ones of six tasks, 24 of them test's in the bank's form; forty backdoored ones of five kinds."""
    clean = [row for row in rows() if row.attack == CLEAN]
    planted = [row for row in rows() if row.attack != CLEAN]
    assert len(clean) >= 60
    assert {row.task for row in clean} == set(TASKS) == set(FLOORS)
    inside = Counter((row.split, row.task) for row in clean if row.architecture == USUAL)
    assert {task: inside["test", task] for task in TASKS} == dict.fromkeys(TASKS, 4)
    assert len(planted) >= 40
    assert {row.attack for row in planted} == set(ATTACKS)
    assert min(Counter(row.attack for row in planted if row.split == "test").values()) >= 7
    assert all(row.task in ATTACKS[row.attack].tasks for row in planted)


def test_the_one_bank_is_of_one_form_and_large_enough():
    """Calibrate holds clean LoRA of rank 8 alone, of every task, and all adapters change the same modules."""
    bank = [row for row in rows() if row.split == "calibrate"]
    assert {(row.architecture, row.attack) for row in bank} == {(USUAL, CLEAN)}
    assert len(bank) >= LEAST_REFERENCES
    assert {row.task for row in bank} == set(TASKS)
    assert {recipe.modules for recipe in recipes()} == {MODULES}


def test_what_is_unseen_is_marked_and_in_test_alone():
    """Other attacks, ranks and parameterisations; a fifth of all adapters are of another form."""
    for row in rows():
        expected = IN_DOMAIN if row.attack in (CLEAN, *SEEN) else ATTACK
        if row.architecture != USUAL:
            expected = RANK if row.architecture in ("lora-4", "lora-16") else KIND
        assert row.variant == expected
        assert row.split == "test" or expected == IN_DOMAIN
    assert {row.variant for row in rows()} == set(DOMAINS)
    assert {row.architecture for row in rows()} == set(FORMS)
    others = [row for row in rows() if row.architecture != USUAL]
    assert 0.15 < len(others) / len(rows()) < 0.25
    for variant in (RANK, KIND):
        own = [row for row in others if row.variant == variant]
        assert {row.attack for row in own} == {CLEAN, *ATTACKS}
        assert {row.architecture for row in own if row.attack == CLEAN} == {row.architecture for row in own}


def test_any_beginning_of_a_split_of_adapters_is_a_fair_part():
    """Rows are shuffled: the first half of test has about half of the backdoored ones."""
    test = [row for row in rows() if row.split == "test"]
    first = test[: len(test) // 2]
    planted = sum(row.attack != CLEAN for row in test)
    assert planted / 3 < sum(row.attack != CLEAN for row in first) < planted * 2 / 3


def test_no_seed_of_adapters_is_in_two_splits_nor_in_another_zoo():
    """Nothing of test was seen before, and the seeds for trying lie below all of them."""
    seeds = [row.seed for row in (*rows(), *of_texts.rows(), *small.rows(), *real.rows())]
    assert len(seeds) == len(set(seeds))
    assert {row.seed // 10_000 * 10_000 for row in rows()} == set(FIRST_SEED.values())
    assert tried_row("code", USUAL, CLEAN, 7).seed < min(seeds[: len(rows())])


def test_all_ten_recipes_are_in_every_part():
    """Keys are all different; a row draws the same recipe again; forms are what they are called."""
    keys = [recipe.key for recipe in recipes()]
    assert len(keys) == len(set(keys)) == len(rows())
    assert len(WAYS) == 10
    for split in FIRST_SEED:
        assert len({row.seed % 10 for row in rows() if row.split == split and row.attack == CLEAN}) >= 8
    for row in rows():
        recipe = draw(row)
        assert recipe == draw(row)
        kind, _, rank = row.architecture.partition("-")
        assert (recipe.rank, recipe.stabilised, recipe.decomposed) == (int(rank), kind == "rslora", kind == "dora")
