"""A bank out of summaries judges the models of another split as `gate check --bank` would, without a scan."""

import math
import random

import pytest
from made_up import QuickScan

from benchmarks.efficacy import summaries
from benchmarks.efficacy.banking import bank_keys, beside, opened, summary_text
from benchmarks.efficacy.judged import judged_by_policy
from benchmarks.efficacy.scanning import measure, state_of
from benchmarks.efficacy.score import BOUND, score
from benchmarks.efficacy.subjects import models_of
from benchmarks.zoo.recipe import CLEAN
from gate.records.bank import write_bank
from gate.records.errors import UsageError
from gate.records.evidence import Measured
from gate.records.limit import Limit


@pytest.fixture
def pairs(bench, store):
    """Return the six models of the made-up zoo with their summaries."""
    entries = models_of(store, "fit").counting
    for entry in entries:
        measure(bench, entry, bench.policy.detectors, QuickScan())
    return [(entry, summaries.summarise(bench, state_of(bench, entry))) for entry in entries]


def like(pair, number):
    """Return a clean model of the same task with sizes and a digest of its own."""
    entry, summary = pair
    draw = random.Random(number)
    evidence = summaries.evidence_of(summary)
    outcome = evidence.outcomes["neural-cleanse"]
    varied = [m.model_copy(update={"value": m.value * draw.uniform(0.8, 1.2)}) for m in outcome.measurements]
    assert isinstance(outcome, Measured)
    changed = evidence.model_copy(
        update={
            "manifest_digest": f"sha256:{number:064x}",
            "outcomes": evidence.outcomes
            | {"neural-cleanse": outcome.model_copy(update={"measurements": tuple(varied)})},
        }
    )
    return entry, summaries.compact(changed, entry.name, {}, 17)


@pytest.fixture
def bank(pairs, policy, tmp_path):
    """Return an opened bank of twenty clean models of one task, and that task's own pair."""
    clean = next(pair for pair in pairs if pair[0].recipe.row.attack == CLEAN)
    task = clean[0].recipe.row.task
    keys = bank_keys([like(clean, number) for number in range(20)], policy, f"zoo {task}", "made up")
    write_bank(tmp_path / "bank.json", **keys)
    return opened([tmp_path / "bank.json"]), clean


def test_a_bank_holds_the_clean_models_of_one_task(bank):
    """Its line says how many, and what is compared."""
    (found,), (entry, _) = bank
    task = entry.recipe.row.task
    assert summary_text(found.bank).startswith(f"zoo {task}: 20 models, ")
    assert "neural-cleanse size" in summary_text(found.bank)


def test_models_are_judged_beside_the_bank_of_their_task(bank, policy):
    """A clean one is not beyond twenty others; one with a planted class is, and that class is named."""
    banks, clean = bank
    ordinary, planted = like(clean, 77), like(clean, 78)
    evidence = summaries.evidence_of(planted[1])
    small = [
        m.model_copy(update={"value": m.value / 20}) if m.metric == "size" and m.location.name == "2" else m
        for m in evidence.outcomes["neural-cleanse"].measurements
    ]
    outcome = evidence.outcomes["neural-cleanse"].model_copy(update={"measurements": tuple(small)})
    changed = evidence.model_copy(update={"outcomes": evidence.outcomes | {"neural-cleanse": outcome}})
    planted = (planted[0], summaries.compact(changed, planted[0].name, {}, 17))
    rows = judged_by_policy([ordinary, planted], policy, banks)
    assert [row.by_limit for row in rows] == [False, True]
    assert "class 2" in rows[1].targets
    seen = beside(changed, banks, policy)
    assert seen.bank.comparison.p_value == pytest.approx(1 / 21)
    assert score(seen, policy) == math.log1p(seen.bank.comparison.score) == rows[1].score


def test_a_limit_that_judges_beside_the_bank_scores_highest(bank, policy):
    """A finding that no rank among clean models excuses stands above every rank."""
    banks, clean = bank
    seen = beside(summaries.evidence_of(like(clean, 77)[1]), banks, policy)
    rule = policy.detectors["neural-cleanse"]
    for judges, expected in (("always", BOUND), ("uncalibrated-only", math.log1p(seen.bank.comparison.score))):
        limits = {"size-ratio": Limit(min=1e9, judges=judges)}
        stricter = policy.model_copy(
            update={"detectors": {"neural-cleanse": rule.model_copy(update={"limits": limits})}}
        )
        assert score(seen, stricter) == expected


def test_a_bank_of_another_task_is_not_used(bank, policy):
    """Samples tell tasks apart."""
    banks, clean = bank
    evidence = summaries.evidence_of(like(clean, 5)[1])
    other = evidence.model_copy(update={"samples": evidence.samples.model_copy(update={"sha256": "9" * 64})})
    assert beside(other, banks, policy).bank is None


def test_a_group_without_clean_models_has_no_bank(pairs, policy):
    """Said, and nothing is written."""
    planted = [pair for pair in pairs if pair[0].recipe.row.attack != CLEAN]
    with pytest.raises(UsageError, match="no clean model for the bank 'nothing'"):
        bank_keys(planted, policy, "nothing", "")
