"""From two scans of each model to the table: what is kept, what is scanned again, and what differs."""

import pytest

from benchmarks.efficacy.kept import Cache
from benchmarks.efficacy.keys import reduced
from benchmarks.efficacy.scanning import Bench
from benchmarks.real_zoo import splits, ways
from benchmarks.real_zoo.making import RealEntry
from benchmarks.tests.efficacy.made_up import BEHAVIOUR, POLICY, QuickScan
from benchmarks.tests.real_zoo.test_real_table import put
from benchmarks.zoo.store import Store
from gate.policies.read import read_policy
from gate.records.clock import today

FORM = "float32 folded; with gradients bfloat16 folded"


@pytest.fixture
def entries(tmp_path):
    """Return bench and two models of fit, a clean and a backdoored one, as if they had been made."""
    policy = reduced(read_policy(POLICY, on=today()), BEHAVIOUR, deadline=900)
    store = Store(tmp_path / "zoo", RealEntry)
    recipes = splits.recipes("fit")
    chosen = [next(one for one in recipes if (one.row.attack == "clean") is clean) for clean in (True, False)]
    for number, recipe in enumerate(chosen):
        put(store, recipe, number, success=0.99)
    return Bench(store, Cache.of(store), policy, 900.0), [store.entry(recipe) for recipe in chosen]


def scans(bench, calls, *, loses=False):
    """Return a scan by formula in both arithmetics; where `loses`, the quick one finds nothing of a backdoor."""

    def scan(entry, arithmetic):
        calls.append((entry.name, arithmetic))
        evidence = QuickScan()(entry, bench.policy, bench.conditions(entry))
        if arithmetic == "as-read":
            return evidence
        outcomes = {} if loses and entry.recipe.row.attack != "clean" else evidence.outcomes
        facts = evidence.facts.model_copy(update={"arithmetic": FORM})
        return evidence.model_copy(update={"facts": facts, "outcomes": outcomes})

    return scan


def test_a_model_is_scanned_in_both_ways_and_never_again(entries, tmp_path):
    """Each row is kept when both scans have ended; a second run scans what is missing under the policy alone."""
    bench, models = entries
    path, calls = tmp_path / "rows.jsonl", []
    [first] = ways.compared(models, bench.policy, scans(bench, calls), path, limit=1)
    assert calls == [(models[0].name, "auto"), (models[0].name, "as-read")]
    assert ways.read(path) == [first]
    assert first.same
    assert (first.auto.form, first.as_read.form) == (FORM, "")
    [second] = ways.compared(models, bench.policy, scans(bench, calls), path)
    assert second.auto.flagged
    assert second.auto.findings == second.as_read.findings != ()
    assert list(ways.compared(models, bench.policy, scans(bench, calls), path)) == []
    assert len(calls) == 4
    other = bench.policy.model_copy(update={"name": "another"})
    assert len(list(ways.compared(models, other, scans(bench, calls), path))) == 2


def test_the_table_tells_what_one_way_alone_finds(entries, tmp_path):
    """Another set of findings is counted and named."""
    bench, models = entries
    rows = list(ways.compared(models, bench.policy, scans(bench, [], loses=True), tmp_path / "rows.jsonl"))
    assert [row.same for row in rows] == [True, False]
    told = ways.text(rows)
    assert told.startswith("The same findings in both arithmetics: 1 of 2")
    assert "2 of them run in a quicker form" in told
    assert f"as read alone: {rows[1].as_read.findings[0]}" in told
