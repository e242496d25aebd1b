"""The splits that came after the first four: few classes, nets and triggers never seen, and attackers who evade probes.

Beside `splits`, which writes their rows behind the first ones. *few* has tasks of two to seven classes and old nets and
attacks; *unseen* is a second test split, reported once, whose nets are of no other split, and whose triggers are drawn
anew on the grid of probes or lie off it; *evading* holds eight attackers more. Written down before anything of a
detector with fixed probes was measured on them (decision 0026).
"""

import random
from collections.abc import Callable, Sequence
from itertools import cycle, islice

from benchmarks.zoo.architectures import FAMILIES
from benchmarks.zoo.attacks import ATTACKS
from benchmarks.zoo.controls import CONTROLS
from benchmarks.zoo.recipe import CLEAN, Split, Wanted
from benchmarks.zoo.tasks import FEW, MANY
from benchmarks.zoo.unseen_nets import UNSEEN

FEW_CLEAN = 24
"""A task: eight families and controls take turns."""
FEW_ATTACKED: tuple[tuple[str, str], ...] = (
    ("badnets", "small"), ("badnets", "large"), ("blended", "noise"), ("wanet", "warp"), ("sig", "sinusoid"),
    ("adaptive-blend", "noise"),
)  # fmt: skip

UNSEEN_CLEAN, UNSEEN_CLEAN_FEW = 68, 14
"""A task of many classes, and one of few: 300 are promised in all, and some fail."""
UNSEEN_PER_VARIANT: dict[str, int] = {
    "badnets": 6, "patch-off-grid": 6, "multi-target": 8, "payload": 2, "architectural": 3,
    "blended": 18, "adaptive-blend": 18, "blend-off-grid": 6,
    "wanet": 18, "warp-off-grid": 6,
    "input-aware": 20, "lira": 18,
    "sig": 20, "sig-off-grid": 5,
    "source-specific": 20, "source-specific-off-grid": 10,
    "all-to-all": 24, "all-to-all-off-grid": 11,
    "label-consistent": 26, "label-consistent-off-grid": 13,
    "semantic-combined": 21, "semantic-outside": 21,
}  # fmt: skip
"""Fifteen that count are promised an attack; fewer of several targets, payloads and backdoors in the graph."""
UNSEEN_ATTACKED_FEW: tuple[tuple[str, str], ...] = (
    ("badnets", "large"), ("patch-off-grid", "square"), ("blend-off-grid", "clouds"), ("warp-off-grid", "swirl"),
    ("sig-off-grid", "tilted"),
)  # fmt: skip

EVADING_TASKS, EVADING_FAMILIES = ("digits", "fashion"), ("cnn", "resnet", "depthwise")


def few() -> list[Wanted]:
    """Return the models of few classes, by old nets and attacks."""
    wanted = _clean(FEW, [*FAMILIES, *CONTROLS], FEW_CLEAN)
    return _shuffled("few", wanted + _attacked(FEW, list(FAMILIES), FEW_ATTACKED))


def unseen() -> list[Wanted]:
    """Return the models of the second test split."""
    nets = list(UNSEEN)
    wanted = _clean(MANY, nets, UNSEEN_CLEAN) + _clean(FEW, nets, UNSEEN_CLEAN_FEW)
    arms = [(attack, variant) for attack in UNSEEN_PER_VARIANT for variant in ATTACKS[attack].variants]
    wanted += [
        (MANY[(turn + step) % len(MANY)], nets[(2 * turn + step) % len(nets)], attack, variant)
        for turn, (attack, variant) in enumerate(arms)
        for step in range(UNSEEN_PER_VARIANT[attack])
    ]
    return _shuffled("unseen", wanted + _attacked(FEW, nets, UNSEEN_ATTACKED_FEW))


def evading() -> list[Wanted]:
    """Return two models of each attacker: one a task, variants in turn where there are two."""
    attacks = [attack for attack in ATTACKS.values() if attack.since == "evading"]
    return [
        (
            task,
            EVADING_FAMILIES[(turn + step) % len(EVADING_FAMILIES)],
            attack.id,
            attack.variants[step % len(attack.variants)],
        )
        for step, task in enumerate(EVADING_TASKS)
        for turn, attack in enumerate(attacks)
    ]


LATER_SPLITS: dict[Split, Callable[[], list[Wanted]]] = {"few": few, "unseen": unseen, "evading": evading}


def _clean(tasks: Sequence[str], nets: Sequence[str], count: int) -> list[Wanted]:
    return [(task, net, CLEAN, "") for task in tasks for net in islice(cycle(nets), count)]


def _attacked(tasks: Sequence[str], nets: Sequence[str], arms: Sequence[tuple[str, str]]) -> list[Wanted]:
    """Return every arm on every task, the nets in turn."""
    return [
        (task, nets[(2 * place + turn) % len(nets)], attack, variant)
        for place, task in enumerate(tasks)
        for turn, (attack, variant) in enumerate(arms)
    ]


def _shuffled(split: Split, wanted: list[Wanted]) -> list[Wanted]:
    random.Random(f"zoo-{split}").shuffle(wanted)
    return wanted
