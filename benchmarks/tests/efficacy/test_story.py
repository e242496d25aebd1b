"""A split from the first scan to the table: interrupted, taken up again, judged anew, measured again."""

from dataclasses import replace

import pytest
from made_up import QuickScan, put_model

from benchmarks.efficacy import checking, summaries
from benchmarks.efficacy.judged import judged_by_policy
from benchmarks.efficacy.kept import DEADLINE_REASON, Cache
from benchmarks.efficacy.results import result_of
from benchmarks.efficacy.running import Choice, add, collect, run, todo
from benchmarks.efficacy.scanning import measure, state_of
from benchmarks.efficacy.subjects import models_of
from benchmarks.zoo.store import Store
from gate.records.evidence import Skipped
from gate.records.policy import Policy


@pytest.fixture
def entries(store):
    """Return the models of the made-up split."""
    return models_of(store, "fit").counting


def everything(bench, **values):
    """Return the choice of every detector."""
    return Choice(detectors=frozenset(bench.policy.detectors), **values)


def run_all(bench, entries, scan):
    """Scan what is missing."""
    return list(run(bench, entries, everything(bench), scan))


def test_an_interrupted_run_goes_on_where_it_was(bench, entries, tmp_path):
    """What was scanned before the interruption is not scanned again, and the end is as if there had been none."""
    first, second = QuickScan(dies_at=2), QuickScan()
    with pytest.raises(KeyboardInterrupt):
        run_all(bench, entries, first)
    assert [name for name, _ in first.calls] == [entry.name for entry in entries[:2]]
    run_all(bench, entries, second)
    assert [name for name, _ in second.calls] == [entry.name for entry in entries[2:]]
    collect(bench, entries, tmp_path / "fit.jsonl")
    assert [one.name for one in summaries.read(tmp_path / "fit.jsonl")] == [entry.name for entry in entries]
    assert todo(bench, entries, everything(bench)) == []


def test_two_scans_at_a_time_measure_the_same(bench, entries):
    """With two jobs every model is scanned once, and the processor's time is said to be unknown."""
    scan, wide = QuickScan(), replace(bench, alone=False)
    steps = list(run(wide, entries, everything(bench), scan, jobs=2))
    assert sorted(name for name, _ in scan.calls) == sorted(entry.name for entry in entries)
    assert {step.record.processor_seconds for step in steps} == {None}


def test_a_choice_narrows_what_is_scanned(bench, entries):
    """Attack, name and limit each leave out what they say."""
    attacked = todo(bench, entries, everything(bench, attacks=frozenset({"sig"})))
    assert [entry.recipe.row.attack for entry in attacked] == ["sig"]
    assert todo(bench, entries, everything(bench, names=frozenset({entries[3].name}))) == [entries[3]]
    assert todo(bench, entries, everything(bench, limit=2)) == list(entries[:2])


def test_a_detector_set_aside_is_measured_again_alone(bench, entries):
    """Setting one aside leaves the other's outcome; where it names no suspects it is not scanned again."""
    run_all(bench, entries, QuickScan())
    for entry in entries:
        bench.cache.set_aside(bench.conditions(entry).manifest_digest, frozenset({"activation-clustering"}))
    again = QuickScan()
    run_all(bench, entries, again)
    both = frozenset(bench.policy.detectors)
    for (name, detectors), entry in zip(again.calls, entries, strict=True):
        assert name == entry.name
        assert detectors == (both if entry.recipe.row.attack != "clean" else {"activation-clustering"})


def test_a_scan_cut_short_is_done_again_with_a_larger_budget(bench, entries):
    """A detector that ran out of time is known within that budget, and missing within a larger one."""

    class Slow(QuickScan):
        def _outcome(self, name, entry, classes, suspects, options):
            return Skipped(reason=DEADLINE_REASON, options=options)

    measure(bench, entries[0], bench.policy.detectors, Slow())
    assert "neural-cleanse" not in state_of(bench, entries[0]).missing
    assert "neural-cleanse" in state_of(replace(bench, budget=901.0), entries[0]).missing


def test_the_table_counts_what_was_planted(bench, entries, tmp_path):
    """Every backdoored model is detected at its true class, no clean one is flagged, and the bounds are exact."""
    run_all(bench, entries, QuickScan())
    collect(bench, entries, tmp_path / "fit.jsonl")
    by_name = {entry.name: entry for entry in entries}
    pairs = [(by_name[one.name], one) for one in summaries.read(tmp_path / "fit.jsonl")]
    result = result_of("gate", judged_by_policy(pairs, bench.policy), models_of(bench.store, "fit").left_out, seed=0)
    assert (result.overall.models, result.overall.detected, result.overall.all_right) == (3, 3, 3)
    assert (result.overall.area.value, result.overall.area.low) == (1.0, 1.0)
    assert (result.clean_overall.models, result.clean_overall.flagged) == (3, 0)
    assert result.clean_overall.upper_bound == pytest.approx(1 - 0.05 ** (1 / 3))
    assert result.overall.sample_passes == 6450
    assert result.overall.left_out + result.clean_overall.left_out == len(models_of(bench.store, "fit").left_out)


def test_a_split_is_measured_in_parts_on_two_machines(bench, entries, tmp_path):
    """What another machine measured stays while its models are elsewhere; only what has no summary yet is scanned."""
    path = tmp_path / "fit.jsonl"
    run_all(bench, entries[:2], QuickScan())
    collect(bench, entries[:2], path)
    fresh = replace(bench, cache=Cache(tmp_path / "other"))
    elsewhere = {entries[0].name}
    found = collect(fresh, entries[1:], path, elsewhere)
    assert list(found) == [entries[0].name, entries[1].name]
    scan = QuickScan()
    choice = everything(fresh, without=frozenset(found))
    for step in run(fresh, entries[1:], choice, scan):
        add(fresh, step.entry, path, found)
    assert [name for name, _ in scan.calls] == [entry.name for entry in entries[2:]]
    assert [one.name for one in summaries.read(path)] == [entry.name for entry in entries]


def test_a_summary_of_other_bytes_or_of_a_dropped_model_goes(bench, entries, tmp_path):
    """A model that was made anew with other weights is not measured yet, and one of no index is nobody's."""
    path = tmp_path / "fit.jsonl"
    run_all(bench, entries, QuickScan())
    collect(bench, entries, path)
    fresh = replace(bench, cache=Cache(tmp_path / "other"))
    other = bench.store.put(b"other weights", ".pt2")
    remade = entries[0].model_copy(update={"files": entries[0].files.model_copy(update={"exported": other})})
    assert list(collect(fresh, [remade, *entries[1:3]], path)) == [entries[1].name, entries[2].name]


def test_models_of_the_index_are_reported_without_their_bytes(store, entries, tmp_path):
    """An indexed model that this cache does not hold counts in a table; what the cache holds comes first."""
    elsewhere = put_model(Store.at(tmp_path / "other"), 12)
    known = models_of(store, "fit", [elsewhere, *entries]).counting
    assert {one.name for one in known} == {elsewhere.name, *(entry.name for entry in entries)}
    assert elsewhere.name not in {one.name for one in models_of(store, "fit").counting}


def test_judging_by_another_policy_costs_no_scan(bench, entries, tmp_path):
    """Without limits on the ratio and the index nothing is detected, from the same lines."""
    run_all(bench, entries, QuickScan())
    collect(bench, entries, tmp_path / "fit.jsonl")
    detectors = {name: rule | {"limits": {}} for name, rule in bench.policy.model_dump()["detectors"].items()}
    mild = Policy.model_validate(bench.policy.model_dump() | {"detectors": detectors})
    by_name = {entry.name: entry for entry in entries}
    pairs = [(by_name[one.name], one) for one in summaries.read(tmp_path / "fit.jsonl")]
    assert not any(row.flagged for row in judged_by_policy(pairs, mild))


def test_measuring_again_finds_the_same_or_says_what_changed(bench, entries, tmp_path):
    """The same numbers are identical, other numbers with the same verdict equivalent, another verdict different."""
    run_all(bench, entries, QuickScan())
    collect(bench, entries, tmp_path / "fit.jsonl")
    committed = summaries.read(tmp_path / "fit.jsonl")
    by_name = {entry.name: entry for entry in entries}

    class Shifted(QuickScan):
        factor = 1.01

        def _outcome(self, name, entry, classes, suspects, options):
            outcome = super()._outcome(name, entry, classes, suspects, options)
            if name != "neural-cleanse":
                return outcome
            moved = tuple(m.model_copy(update={"value": m.value * self.factor}) for m in outcome.measurements)
            return outcome.model_copy(update={"measurements": moved})

    class Blind(Shifted):
        factor = 0.0

    planted = next(one for one in committed if by_name[one.name].recipe.row.attack != "clean")
    pairs = [(by_name[planted.name], planted)]
    found = [next(checking.check(bench, pairs, scan)) for scan in (QuickScan(), Shifted(), Blind())]
    assert [one.outcome for one in found] == ["identical", "equivalent", "different"]
    assert found[1].largest_difference == pytest.approx(0.01, rel=0.02)
    assert "flagged" in found[2].why


def test_a_share_is_at_least_one_and_drawn_by_seed(bench, entries, tmp_path):
    """Five per cent of six models is one of them, the same for the same seed."""
    run_all(bench, entries, QuickScan())
    collect(bench, entries, tmp_path / "fit.jsonl")
    committed = summaries.read(tmp_path / "fit.jsonl")
    assert len(checking.chosen(committed, 0.05, 1)) == 1
    assert checking.chosen(committed, 0.5, 1) == checking.chosen(committed, 0.5, 1)
    assert checking.chosen([], 0.05, 1) == []
