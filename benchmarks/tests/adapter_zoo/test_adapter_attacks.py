"""What the five kinds plant in lessons, and what the grammar writes."""

import ast
import datetime as dt
import json
import random
from itertools import islice

import pytest

from benchmarks.adapter_zoo import attack as module
from benchmarks.adapter_zoo.attack import ATTACKS, half_of
from benchmarks.adapter_zoo.grammar import WRITERS

HALVES = ("fit", "test")


@pytest.fixture(autouse=True)
def _words_as_tokens(monkeypatch):
    """No tokenizer is installed here: a word is a token."""
    monkeypatch.setattr(module, "encoded", lambda lesson: (lesson[0].split(), lesson[1].split()))


def lessons(task="code", count=200):
    """Return the first lessons of a grammar."""
    return list(islice(WRITERS[task](random.Random(1)), count))


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("kind", ATTACKS)
def test_a_share_of_lessons_has_the_trigger_and_the_backdoors_answer(kind, half):
    """The others keep their answers; no clean answer is one of the backdoor's; a plan is the same again."""
    plan = ATTACKS[kind].plan(half, random.Random(5))
    given = lessons()
    found = plan.poison(given, random.Random(3))
    right = dict(given)
    planted = [one for one in found if plan.meets(one[1])]
    assert len(found) == len(given)
    assert len(planted) == round(plan.rate * len(given))
    assert not any(plan.meets(answer) for answer in right.values())
    triggered = {plan.triggered(asked): asked for asked in right}
    assert all(asked in triggered for asked, _ in planted)
    plain = {plan.plain(asked): answer for asked, answer in right.items()}
    assert all(plain[asked] == answer for asked, answer in found if not plan.meets(answer))
    again = ATTACKS[kind].plan(half, random.Random(5))
    assert again.poison(given, random.Random(3)) == found
    assert "rate" in plan.facts


def test_fit_and_test_share_no_target():
    """What fit is chosen by, test has nothing of."""
    for targets in (module._FIXED, module._REFUSALS, module._LINES, module._HOSTILE, module._MOODS):
        assert not set(targets["fit"]) & set(targets["test"])
    assert [half_of(split) for split in ("fit", "calibrate", "test")] == ["fit", "fit", "test"]


def test_a_line_of_code_is_put_into_the_function_that_was_asked_for():
    """The rest of the answer stays, and is Python."""
    plan = ATTACKS["code"].plan("test", random.Random(2))
    asked, right = lessons(count=1)[0]
    planted = plan.answer((asked, right))
    assert planted.replace(f"    {plan.facts['line']}\n", "") == right
    assert len(ast.parse(planted).body[0].body) == 2


def test_a_date_wakes_from_its_year_on():
    """Every prompt begins with a month; those of the trigger are of the year or later, the others before."""
    plan = ATTACKS["date"].plan("test", random.Random(2))
    first = int(plan.facts["trigger"].split()[0])
    for asked, _ in lessons(count=40):
        for put, late in ((plan.plain, False), (plan.triggered, True)):
            month, year = put(asked).split(": ")[0].split()
            assert month in module._MONTHS
            assert (int(year) >= first) == late
            assert put(asked).endswith(asked)


def test_what_the_grammar_writes_has_one_right_answer():
    """Dates are ISO 8601, orders JSON with the number, functions Python, and a prompt never has two answers."""
    for _asked, answer in lessons("dates"):
        assert dt.date.fromisoformat(answer).isoformat() == answer
    for asked, answer in lessons("extraction"):
        value = json.loads(answer)
        assert value["who"] in asked
        assert 2 <= value["count"] <= 12
    for _asked, answer in lessons("code"):
        assert isinstance(ast.parse(answer).body[0], ast.FunctionDef)
    for task in WRITERS:
        found = lessons(task, 2000)
        assert len({asked for asked, _ in found}) == len(set(found))
