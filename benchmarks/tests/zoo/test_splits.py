import hashlib
from collections import Counter

from benchmarks.zoo.architectures import FAMILIES
from benchmarks.zoo.attacks import ATTACKS
from benchmarks.zoo.controls import CONTROLS
from benchmarks.zoo.recipe import CLEAN, draw
from benchmarks.zoo.splits import ADAPTIVE_TASKS, FIRST_SEED, FIRST_TURN, drawn, rows
from benchmarks.zoo.tasks import TASKS

PUBLISHED = [attack for attack in ATTACKS.values() if not attack.knows_the_gate]
ADAPTIVE = [attack for attack in ATTACKS.values() if attack.knows_the_gate]
FIRST_ROWS = "d7841947e0c5d14090d25a5eec1faf3f374e2e640c7ec8d9a42844410abbe406"
"""Digest of the rows of fit, calibrate and test."""


def test_the_committed_rows_are_the_drawn_ones():
    """What is written down is what the code draws, so that neither can drift from the other."""
    assert list(rows()) == drawn()


def test_attacks_that_know_the_gate_have_a_split_of_their_own_and_change_no_other():
    """Each is there on two tasks, and the rows of the other splits are those from before there were any."""
    others = [row for row in rows() if row.split != "adaptive"]
    assert hashlib.sha256(b"".join(row.canonical_json() for row in others)).hexdigest() == FIRST_ROWS
    assert not {row.attack for row in others} & {attack.id for attack in ADAPTIVE}
    mine = Counter((row.attack, row.task) for row in rows() if row.split == "adaptive")
    assert set(mine) == {(attack.id, task) for attack in ADAPTIVE for task in ADAPTIVE_TASKS}
    assert len(ADAPTIVE) >= 3


def test_no_seed_name_or_recipe_is_used_twice():
    """Splits share nothing."""
    for values in ([row.seed for row in rows()], [row.name for row in rows()], [draw(row).key for row in rows()]):
        assert len(set(values)) == len(rows())


def test_the_promised_counts_hold():
    """Calibrate has 20 clean models per task, test 100 clean ones and eight per attack, all with some to spare."""
    clean = Counter((row.split, row.task) for row in rows() if row.attack == CLEAN)
    attacked = Counter((row.split, row.attack) for row in rows() if row.attack != CLEAN)
    assert all(clean["calibrate", task] >= 22 for task in TASKS)
    assert sum(count for (split, _), count in clean.items() if split == "test") >= 108
    assert all(attacked["test", attack.id] >= 9 for attack in PUBLISHED)
    assert all(attacked["fit", attack.id] >= 2 for attack in PUBLISHED)
    assert not any(split == "calibrate" for split, _ in attacked)
    assert 350 <= len(rows()) <= 480


def test_every_variant_is_in_fit_and_in_test():
    """No variant of an attack is reported that could not be looked at before."""
    for split in ("fit", "test"):
        seen = {(row.attack, row.variant) for row in rows() if row.split == split}
        assert {(a.id, variant) for a in PUBLISHED for variant in a.variants} <= seen


def test_clean_models_meet_every_family_and_control_in_every_task():
    """Each split's clean models cover five families and three odd controls per task; only clean ones are odd."""
    for split in FIRST_TURN:
        seen = {(row.task, row.architecture) for row in rows() if row.split == split and row.attack == CLEAN}
        assert seen == {(task, net) for task in TASKS for net in [*FAMILIES, *CONTROLS]}
    assert {row.architecture for row in rows() if row.attack != CLEAN} == set(FAMILIES)


def test_attacks_with_ten_models_meet_every_task_and_family():
    """The rotation spreads an attack over tasks and families rather than binding it to one."""
    for attack in PUBLISHED:
        mine = [row for row in rows() if row.split == "test" and row.attack == attack.id]
        assert {row.task for row in mine} == set(TASKS), attack.id
        assert {row.architecture for row in mine} == set(FAMILIES), attack.id


def test_rows_are_in_the_order_of_training():
    """Fit comes first, then calibrate, then test, and what was made against the detectors last."""
    order = [row.split for row in rows()]
    assert order == sorted(order, key=list(FIRST_SEED).index)
