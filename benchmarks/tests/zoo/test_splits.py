import hashlib
from collections import Counter

from benchmarks.zoo.architectures import FAMILIES
from benchmarks.zoo.attacks import ATTACKS
from benchmarks.zoo.controls import CONTROLS
from benchmarks.zoo.later_splits import EVADING_TASKS, UNSEEN_PER_VARIANT
from benchmarks.zoo.recipe import CLEAN, LATER, draw
from benchmarks.zoo.splits import ADAPTIVE_TASKS, FIRST_ATTACKS, FIRST_SEED, FIRST_TURN, drawn, rows
from benchmarks.zoo.store import read_index
from benchmarks.zoo.tasks import FEW, MANY
from benchmarks.zoo.unseen_nets import UNSEEN

PUBLISHED = [attack for attack in FIRST_ATTACKS if not attack.knows_the_gate]
ADAPTIVE = [attack for attack in FIRST_ATTACKS if attack.knows_the_gate]
EVADING = [attack for attack in ATTACKS.values() if attack.since == "evading"]
FIRST = [row for row in rows() if row.split not in LATER]
FIRST_ROWS = "d7841947e0c5d14090d25a5eec1faf3f374e2e640c7ec8d9a42844410abbe406"
"""Digest of the rows of fit, calibrate and test."""
FIRST_KEYS = "c4dd19d29ef4afe4139451ce88ad79eaf5a1856c3e5a790a0fece659190c4226"
"""Digest of the recipes' keys of the first four splits."""


def test_the_committed_rows_are_the_drawn_ones():
    """What is written down is what the code draws, so that neither can drift from the other."""
    assert list(rows()) == drawn()


def test_attacks_that_know_the_gate_have_a_split_of_their_own_and_change_no_other():
    """Each is there on two tasks, and the rows of the other splits are those from before there were any."""
    others = [row for row in FIRST if row.split != "adaptive"]
    assert hashlib.sha256(b"".join(row.canonical_json() for row in others)).hexdigest() == FIRST_ROWS
    assert not {row.attack for row in others} & {attack.id for attack in ADAPTIVE}
    mine = Counter((row.attack, row.task) for row in rows() if row.split == "adaptive")
    assert set(mine) == {(attack.id, task) for attack in ADAPTIVE for task in ADAPTIVE_TASKS}
    assert len(ADAPTIVE) >= 3


def test_the_later_splits_change_no_recipe_of_the_first_ones():
    """Today's recipe of every old row has the key that it always had, and the committed index has the same ones."""
    keys = [draw(row).key for row in FIRST]
    assert hashlib.sha256(" ".join(keys).encode()).hexdigest() == FIRST_KEYS
    assert list(rows()[: len(FIRST)]) == FIRST
    indexed = {entry.name: entry.key for entry in read_index()}
    assert [indexed[row.name] for row in FIRST] == keys


def test_no_seed_name_or_recipe_is_used_twice():
    """Splits share nothing."""
    for values in ([row.seed for row in rows()], [row.name for row in rows()], [draw(row).key for row in rows()]):
        assert len(set(values)) == len(rows())


def test_the_promised_counts_hold():
    """Calibrate has 20 clean models per task, test 100 clean ones and eight per attack, all with some to spare."""
    clean = Counter((row.split, row.task) for row in rows() if row.attack == CLEAN)
    attacked = Counter((row.split, row.attack) for row in rows() if row.attack != CLEAN)
    assert all(clean["calibrate", task] >= 22 for task in MANY)
    assert sum(count for (split, _), count in clean.items() if split == "test") >= 108
    assert all(attacked["test", attack.id] >= 9 for attack in PUBLISHED)
    assert all(attacked["fit", attack.id] >= 2 for attack in PUBLISHED)
    assert not any(split == "calibrate" for split, _ in attacked)
    assert 350 <= len(FIRST) <= 480


def test_every_variant_is_in_fit_and_in_test():
    """No variant of an attack is reported that could not be looked at before."""
    for split in ("fit", "test"):
        seen = {(row.attack, row.variant) for row in rows() if row.split == split}
        assert {(a.id, variant) for a in PUBLISHED for variant in a.variants} <= seen


def test_clean_models_meet_every_family_and_control_in_every_task():
    """Each split's clean models cover five families and three odd controls per task; only clean ones are odd."""
    for split in FIRST_TURN:
        seen = {(row.task, row.architecture) for row in rows() if row.split == split and row.attack == CLEAN}
        assert seen == {(task, net) for task in MANY for net in [*FAMILIES, *CONTROLS]}
    assert {row.architecture for row in FIRST if row.attack != CLEAN} == set(FAMILIES)


def test_attacks_with_ten_models_meet_every_task_and_family():
    """The rotation spreads an attack over tasks and families rather than binding it to one."""
    for attack in PUBLISHED:
        mine = [row for row in rows() if row.split == "test" and row.attack == attack.id]
        assert {row.task for row in mine} == set(MANY), attack.id
        assert {row.architecture for row in mine} == set(FAMILIES), attack.id


def test_rows_are_in_the_order_of_training():
    """Fit comes first, then calibrate, then test, what was made against the detectors, and what came later."""
    order = [row.split for row in rows()]
    assert order == sorted(order, key=list(FIRST_SEED).index)


def test_unseen_shares_no_net_with_another_split_and_keeps_its_promises():
    """300 clean models at least, 240 of the tasks with banks, and fifteen of an attack, with some to spare."""
    mine = [row for row in rows() if row.split == "unseen"]
    assert {row.architecture for row in mine} == set(UNSEEN)
    assert not {row.architecture for row in rows() if row.split != "unseen"} & set(UNSEEN)
    clean = Counter(row.task for row in mine if row.attack == CLEAN)
    assert sum(clean[task] for task in MANY) >= 260
    assert all(clean[task] >= 12 for task in FEW)
    assert sum(clean.values()) >= 320
    attacked = Counter(row.attack for row in mine if row.task in MANY and row.attack != CLEAN)
    assert set(attacked) == set(UNSEEN_PER_VARIANT)
    assert all(attacked[attack] >= 8 for attack in ("multi-target", "payload", "architectural"))
    assert all(
        count >= 18 for attack, count in attacked.items() if attack not in ("multi-target", "payload", "architectural")
    )
    assert {attack.id for attack in ATTACKS.values() if attack.since == "unseen"} <= set(attacked)


def test_attacks_of_unseen_meet_every_task_and_net():
    """The rotation spreads an attack over tasks and nets rather than binding it to one."""
    for attack in UNSEEN_PER_VARIANT:
        mine = [row for row in rows() if row.split == "unseen" and row.attack == attack and row.task in MANY]
        assert {row.task for row in mine} == set(MANY), attack
        assert len({row.architecture for row in mine}) >= 6, attack


def test_few_classes_have_clean_and_backdoored_models_of_every_task():
    """24 clean and six backdoored a task by old nets; the new nets add theirs to unseen."""
    mine = [row for row in rows() if row.split == "few"]
    assert Counter(row.task for row in mine if row.attack == CLEAN) == dict.fromkeys(FEW, 24)
    assert Counter(row.task for row in mine if row.attack != CLEAN) == dict.fromkeys(FEW, 6)
    assert {row.architecture for row in mine} == {*FAMILIES, *CONTROLS}


def test_eight_attackers_evade_on_two_tasks():
    """Two models each, and no other split has them."""
    mine = Counter((row.attack, row.task) for row in rows() if row.split == "evading")
    assert set(mine) == {(attack.id, task) for attack in EVADING for task in EVADING_TASKS}
    assert len(EVADING) == 8
    assert not {row.attack for row in rows() if row.split != "evading"} & {attack.id for attack in EVADING}
