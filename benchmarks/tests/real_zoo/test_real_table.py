"""From made-up scans to the tables: banks by task, shares with exact intervals, the small zoo beside."""

import pytest

from benchmarks.anchors.other_zoos import real_zoo
from benchmarks.efficacy import summaries, zoos
from benchmarks.efficacy.kept import Cache
from benchmarks.efficacy.keys import reduced
from benchmarks.efficacy.running import Choice, collect, run
from benchmarks.efficacy.scanning import Bench
from benchmarks.efficacy.subjects import samples_of
from benchmarks.efficacy.tables import exact_share
from benchmarks.real_zoo import splits, table
from benchmarks.real_zoo.making import RealEntry
from benchmarks.tests.efficacy.made_up import BEHAVIOUR, HEX, POLICY, QuickScan
from benchmarks.zoo.store import Files, Store, merge_index
from gate.policies.read import read_policy
from gate.records.clock import today

WEAK = next(recipe.row for recipe in splits.recipes("test") if recipe.row.attack != "clean")
"""A row whose attack is made to fail."""


@pytest.fixture(scope="module")
def policy():
    """Return the recommended policy without the detectors on files."""
    return reduced(read_policy(POLICY, on=today()), BEHAVIOUR, deadline=900)


def put(store, recipe, number, success):
    """Record a model as if it had been made."""
    attacked = recipe.row.attack != "clean"
    entry = RealEntry(
        name=recipe.row.name,
        key=recipe.key,
        recipe=recipe,
        facts={"targets": [2]} if attacked else {},
        parameters=10,
        clean_accuracy=0.9,
        attack_success=success if attacked else None,
        counts=True,
        weights_digest=HEX,
        files=Files(exported=store.put(f"program {number}".encode(), ".pt2"), weights=HEX),
        seconds=1.0,
        versions={"torch": "2"},
    )
    store.add(entry)
    samples = store.samples_path(recipe.row.task)
    samples.parent.mkdir(parents=True, exist_ok=True)
    samples.write_bytes(recipe.row.task.encode())


@pytest.fixture(scope="module")
def scanned(tmp_path_factory, policy):
    """Return folder, index and store after made-up scans of all models of bank, test and thousand but one."""
    tmp_path = tmp_path_factory.mktemp("scanned")
    store = Store(tmp_path / "zoo", RealEntry)
    wanted = [recipe for recipe in splits.recipes() if recipe.row.split != "fit"]
    for number, recipe in enumerate(wanted[:-1]):
        put(store, recipe, number, success=0.2 if recipe.row == WEAK else 0.99)
    merge_index(store, tmp_path / "index.jsonl", splits.recipes())
    bench, scan = Bench(store, Cache.of(store), policy, 900.0), QuickScan()
    for split in ("bank", "test", "thousand"):
        entries = [entry for recipe in splits.recipes(split) if (entry := store.entry(recipe)) and entry.counts]
        list(run(bench, entries, Choice(detectors=frozenset(policy.detectors)), scan))
        collect(bench, entries, summaries.path_of(split, tmp_path / "evidence"))
    return tmp_path / "evidence", tmp_path / "index.jsonl", store


def test_evidence_knows_the_models_by_the_real_zoos_names(scanned):
    """A subject of real size has its own shelf, so that no evidence of the small zoo is taken for its."""
    *_, store = scanned
    entry = store.entry(splits.recipes("bank")[0])
    assert entry.shelf == "real-zoo"
    assert samples_of(entry, store)[1] == f"real-zoo:{entry.recipe.row.task}"


def test_the_table_counts_what_was_scanned(scanned, policy, tmp_path):
    """A bank a task; every planted class is found; what does not count or was not made is left out by name."""
    folder, index, _ = scanned
    banks = zoos.banks_of(table.zoo(folder, tmp_path / "banks", index), policy)
    assert [(bank.bank.name, len(bank.bank.statistics)) for bank in banks] == [
        ("real-zoo solar", 21),
        ("real-zoo emoji", 21),
    ]
    found = zoos.measured(table.zoo(folder, index=index), "test", policy)
    left = {one.name: one.reason for one in found.left_out}
    assert set(left) == {WEAK.name}
    assert "success 0.200" in left[WEAK.name]
    results = [result for result, _ in zoos.of_split(found, policy, banks)]
    assert [result.system for result in results] == ["gate beside a bank", "gate"]
    for result in results:
        assert (result.clean_overall.models, result.overall.models) == (40, 59)
        assert result.overall.detected == result.overall.models
    # Without a bank a p-value within the model judges, of four classes too.
    assert [result.overall.by_limit for result in results] == [59, 59]
    assert results[0].overall.area.value == 1
    assert results[0].clean_overall.flagged == 0
    told = table.text(policy, results, table.small("test"), "test")
    own, other = results[0], table.small("test")[0]
    line = next(one for one in told.splitlines() if one.startswith("| wanet |"))
    theirs = next(row for row in other.attacks if row.attack == "wanet")
    assert exact_share(8 - (WEAK.attack == "wanet"), 8 - (WEAK.attack == "wanet")) in line
    assert exact_share(theirs.detected, theirs.answered) in line
    clean = next(one for one in told.splitlines() if one.startswith("| clean, all |"))
    assert exact_share(own.clean_overall.flagged, 40) in clean
    assert exact_share(other.clean_overall.flagged, other.clean_overall.models) in clean


def test_beside_published_figures_both_ways_of_judging_are_told(scanned, policy):
    """The figure is of the same models as the table, has its rows as source, and writes no bank into the repository."""
    folder, index, _ = scanned
    (found,) = real_zoo(policy, lambda to: table.zoo(folder, to, index)).values()
    assert found.value.startswith("*gate beside a bank*: accuracy 99 of 99, 100% [96%, 100%]; found 59 of 59")
    # Without a bank limits say nothing of four classes, so that every clean model of that task is flagged.
    assert "<br>*gate*: accuracy 99 of 99, 100%" in found.value
    assert "99 models; 1 left out, 0 not measured" in found.of
    assert found.sources == (summaries.path_of("test", folder),)
    assert not (folder.parent / "banks").exists()


def test_an_unscanned_model_is_left_out_and_said(scanned, policy, tmp_path):
    """A model without a summary is not counted as approved."""
    folder, index, _ = scanned
    first, *others = summaries.read(summaries.path_of("test", folder))
    summaries.write(summaries.path_of("test", tmp_path), others)
    found = zoos.measured(table.zoo(tmp_path, index=index), "test", policy)
    assert "not scanned" in {one.name: one.reason for one in found.left_out}[first.name]


def test_a_thousand_classes_are_told_one_by_one(scanned, policy):
    """The planted are found, the clean approved; the one that was not made stands in the table, too."""
    folder, index, _ = scanned
    found = zoos.measured(table.zoo(folder, index=index), "thousand", policy)
    ((_, rows),) = zoos.of_split(found, policy, [])
    told = table.thousand_text(rows, found.left_out)
    assert f"right about {len(rows)} of {len(rows)}" in told
    assert told.count("| real-thousand-") == 10
    assert "not counted: not made yet" in told
