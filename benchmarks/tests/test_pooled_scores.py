"""Scores of banks' models become the file that comes with the gate, and banks measured otherwise are refused."""

import random

import pytest

from benchmarks.pooled_scores import lines, pooled_scores
from gate.records.bank import Bank, ModelStatistics, Statistic
from gate.records.errors import UsageError

SIZE = Statistic(detector="search", metric="size", worse="lower", scale="log", at="class")


def bank(name, seed, odd=None, **changes):
    """Return a bank of twelve models of ten classes, one of them with a tenth of its size at a class."""
    draw = random.Random(seed)
    models = []
    for number in range(12):
        sizes = {f"class {k}": (1 + k) * draw.lognormvariate(0, 0.2) for k in range(10)}
        if number == odd:
            sizes["class 3"] /= 10
        models.append(ModelStatistics(model=f"{name} {number}", values={"search": {"size": sizes}}))
    stated = {
        "name": f"zoo {name}",
        "classes": 10,
        "settings": {"search": "a" * 64, "other": "b" * 64},
        "compared": (SIZE,),
        "statistics": tuple(models),
    }
    return Bank(**{**stated, **changes})


def test_every_model_is_scored_beside_the_others_of_its_task():
    """The odd one is far ahead of its task's others; settings are those of the score's detectors alone."""
    found = pooled_scores([bank("one", 1, odd=4), bank("two", 2)])
    assert (found.statistics, found.settings) == (("search size",), {"search": "a" * 64})
    assert {task: len(scores) for task, scores in found.scores.items()} == {"one": 12, "two": 12}
    assert found.scores["one"][0] > 2 * found.scores["one"][1]
    assert all(list(scores) == sorted(scores, reverse=True) for scores in found.scores.values())
    assert "24 clean nets" in found.made_of


@pytest.mark.parametrize("changes", [{"settings": {"search": "c" * 64}}, {"compared": ()}])
def test_banks_measured_otherwise_are_refused(changes):
    """Their scores are no scores of the same kind."""
    with pytest.raises(UsageError, match="other statistics or were measured by other settings"):
        pooled_scores([bank("one", 1), bank("two", 2, **changes)])


def test_the_table_tells_a_task_of_higher_scores():
    """A task whose scores are higher than the others' has a small p."""
    table = lines({"one": [30.0 + k for k in range(12)][::-1], "two": [float(k) for k in range(12)][::-1]})
    assert [row.split(" | ")[-1].rstrip(" |") for row in table[2:]] == ["0.00", "1.00"]
