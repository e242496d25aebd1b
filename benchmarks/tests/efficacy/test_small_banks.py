import math
import random

import pytest

from benchmarks.efficacy.small_banks import CHOSEN, FLOORS, Flags, Model, floor_name, measure, report, with_chosen


def model(number, task, attack="clean"):
    """Return a model whose planted class, where it is backdoored, has a hundredth of its size."""
    draw = random.Random(f"{task} {number}")
    sizes = {f"class {k}": 10 * draw.lognormvariate(0, 0.3) for k in range(8)}
    if attack != "clean":
        sizes["class 2"] /= 100
    return Model(f"{task}-{number}", task, attack, {"neural-cleanse": {"size": sizes}})


def test_planted_classes_are_found_and_clean_models_mostly_not():
    """Every model is compared beside each bank that it is not in; attacks in the graph are left out."""
    models = [model(number, "digits") for number in range(7)]
    models += [model(7, "digits", "badnets"), model(8, "digits", "payload")]
    found = measure(models, draws=5, seed=0)
    flags = found[floor_name(0.3), 5, "digits"]
    assert set(flags.backdoored) == {"digits-7"}
    assert flags.found() == 1
    assert flags.rate() < 0.5
    assert sum(map(len, flags.clean.values())) == 5 * 2
    assert "digits" not in {task for (_, count, task), kept in found.items() if count == 8 and kept.clean}


def test_the_floor_is_chosen_on_the_other_tasks_alone():
    """A task whose models need a high floor does not choose it for itself."""
    found = {}
    for count in (3, 5, 8, 12):
        for floor in FLOORS:
            for task in ("calm", "wild"):
                alarms = task == "wild" and floor < 0.3
                found[floor_name(floor), count, task] = Flags({"m": [alarms]}, {"b": [floor < 0.4]})
    chosen = with_chosen(found)
    assert chosen[CHOSEN, 3, "calm"] is found[floor_name(0.3), 3, "calm"]
    assert chosen[CHOSEN, 3, "wild"] is found[floor_name(min(FLOORS)), 3, "wild"]


def test_the_bound_counts_models_and_not_draws():
    """A model flagged beside a fifth of the banks counts as a fifth, and the sum is rounded up."""
    flags = Flags({f"m{k}": [k == 0, False, False, False, False] for k in range(20)}, {"b": [True, False]})
    line = report({("a rule", 3, "digits"): flags} | {("a rule", n, "digits"): Flags() for n in (5, 8, 12)})
    assert "1.0% of 20 (21.6%) | 50% of 1 |" in line
    assert math.isnan(Flags().rate())
    assert flags.rate() == pytest.approx(0.01)
