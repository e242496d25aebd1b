"""Banks of copies on the zoo: chosen by rule, made once each, and models ranked beside them; a maker without trainings.

Scans are by formula (`benchmarks/tests/efficacy/made_up.py`), and the maker writes a bank as the gate would have.
"""

import random

import pytest
import torch

from benchmarks.efficacy.kept import Cache
from benchmarks.efficacy.keys import reduced
from benchmarks.efficacy.scanning import Bench, measure, state_of
from benchmarks.efficacy.subjects import reported_models
from benchmarks.efficacy.summaries import summarise
from benchmarks.self_made import choosing, making
from benchmarks.self_made.choosing import CHOSEN, Pair, choice, copied, form_of, pairs_of, source_of
from benchmarks.self_made.comparing import Compared, compare_pair, read_rows, row_of, write_rows
from benchmarks.self_made.making import COUNT, bank_of, data_path, make_banks, trusted
from benchmarks.self_made.table import table
from benchmarks.tests.efficacy.made_up import BEHAVIOUR, POLICY, QuickScan, put_model
from benchmarks.zoo.recipe import CLEAN, draw
from benchmarks.zoo.splits import rows
from benchmarks.zoo.store import Store
from benchmarks.zoo.tasks import TASKS, Images, Task
from gate.banks.assemble import Member, assemble
from gate.policies.read import read_policy
from gate.records.artifact import build_manifest, file_sha256
from gate.records.bank import write_bank
from gate.records.clock import today
from gate.records.copies import CopyNote, SelfMade
from gate.records.copies import Recipe as CopyRecipe
from gate.records.errors import CannotFinishError, UnexaminableError

PAIR = Pair("fit", "catalogue", "cnn")
NUMBERS = [number for number, row in enumerate(rows()) if Pair(row.split, row.task, row.architecture) == PAIR]


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Return a zoo of the pair's models, all scanned by formula, in which the pair is the only one."""
    monkeypatch.setitem(choosing.CHOSEN, "fit", ((PAIR.task,), (PAIR.net,)))
    store = Store.at(tmp_path / "zoo")
    policy = reduced(read_policy(POLICY, on=today()), BEHAVIOUR, deadline=900)
    made = Bench(store, Cache.of(store), policy, budget=900.0)
    for number in NUMBERS:
        measure(made, put_model(store, number), policy.detectors, QuickScan())
    data = store.root / "self-made" / f"{PAIR.task}-{making.IMAGES}.npz"
    data.parent.mkdir(parents=True)
    data.write_bytes(b"images")
    return made


class Maker:
    """Writes a bank of as many models as are asked for, each like the pair's clean one; or has too few good ones."""

    def __init__(self, bench, *, dies=False, short=False):
        self.bench, self.dies, self.short, self.asked = bench, dies, short, []

    def __call__(self, _registry, request, _progress, _tell):
        """Make what is asked for."""
        self.asked.append(request)
        if self.dies:
            raise KeyboardInterrupt
        if self.short:
            raise UnexaminableError("7 of 20 copies are as good as the candidate")
        entry = source_of(PAIR, self.bench.store)
        evidence = QuickScan()(entry, self.bench.policy, self.bench.conditions(entry))
        members = [Member(f"copy {number}", "", _like(evidence, number)) for number in range(1, request.count + 1)]
        keys = assemble(members, request.policy, name=request.name)
        note = CopyRecipe(learning_rate=0.001, batch=64, weight_decay=0, shift=0, noise=0, rounds_beyond=0)
        keys["self_made"] = SelfMade(
            candidate="directory:candidate",
            candidate_digest=build_manifest(request.work.parent / entry.name)[0].digest,
            candidate_accuracy=0.95,
            tolerance=request.tolerance,
            data=request.data.name,
            data_sha256=file_sha256(request.data),
            data_count=6000,
            copies=tuple(CopyNote(number=one + 1, recipe=note) for one in range(request.count)),
        )
        return write_bank(request.to, **keys)


def _like(evidence, number):
    """Return evidence of another clean model, by sizes and a digest of its own."""
    draw_one, outcome = random.Random(number), evidence.outcomes["neural-cleanse"]
    varied = [one.model_copy(update={"value": one.value * draw_one.uniform(0.8, 1.2)}) for one in outcome.measurements]
    outcomes = {**evidence.outcomes, "neural-cleanse": outcome.model_copy(update={"measurements": tuple(varied)})}
    return evidence.model_copy(update={"outcomes": outcomes, "manifest_digest": f"sha256:{number:064x}"})


def made(bench, maker, count=COUNT):
    """Make the banks, and return what became of each."""
    return list(make_banks(bench, "fit", 1, count, lambda *_: None, lambda _: None, maker=maker))


def test_tasks_and_nets_are_those_of_the_rule():
    """Written down for both splits, with a model to copy and a backdoored one for each of four pairs."""
    for split, chosen in CHOSEN.items():
        assert choice(split) == chosen
        assert len(pairs_of(split)) == 4
        for pair in pairs_of(split):
            first = copied(pair)[0]
            assert not first.static_batch
            assert sum(form_of(one) == form_of(first) for one in copied(pair)) == max(
                sum(form_of(one) == form_of(other) for one in copied(pair)) for other in copied(pair)
            )


def test_the_first_clean_model_that_counts_is_copied(tmp_path):
    """One that did not learn is passed over; one that is not made yet is waited for, since it may be the one."""
    pair, store = Pair("unseen", "digits", "inception"), Store.at(tmp_path)
    first, second = (recipe.row.name for recipe in copied(pair)[:2])
    names = [row.name for row in rows()]
    entry = put_model(store, names.index(first))
    store.add(entry.model_copy(update={"clean_accuracy": 0.2}))
    with pytest.raises(CannotFinishError, match=second):
        source_of(pair, store)
    put_model(store, names.index(second))
    assert source_of(pair, store).name == second


def test_no_held_out_image_is_trained_on():
    """The same images every time; whatever is held out too is left out of the draw."""
    images = torch.arange(60.0).reshape(60, 1, 1, 1)
    train, held = Images(images[:50], torch.zeros(50)), Images(images[40:], torch.zeros(20))
    task = Task("made-up", 2, (1, 1, 1), 0.5, lambda: (train, held))
    found = trusted(task, 30)
    assert len(found) == 30
    assert set(found.inputs.flatten().tolist()) <= set(map(float, range(40)))
    assert torch.equal(found.inputs, trusted(task, 30).inputs)
    assert len(trusted(task, 1000)) == 40


def test_a_bank_is_made_once(bench):
    """Of the pair's clean program, on data and samples of its task; another count, or other data, makes it anew."""
    maker = Maker(bench)
    (first,) = made(bench, maker)
    (request,) = maker.asked
    assert len(first.bank.statistics) == COUNT
    assert request.data == data_path(TASKS[PAIR.task], bench.store)
    assert request.samples == str(bench.store.samples_path(PAIR.task))
    assert (request.threads, request.settings.device, request.policy) == (1, "cpu", bench.policy)
    (again,) = made(bench, maker)
    assert (again.bank, len(maker.asked)) == (first.bank, 1)
    made(bench, maker, count=COUNT + 1)
    request.data.write_bytes(b"other images")
    made(bench, maker, count=COUNT + 1)
    assert len(maker.asked) == 3


def test_an_ended_run_goes_on_and_a_short_bank_is_said(bench):
    """What was broken off is asked for again; too few good copies are no bank, with the reason."""
    with pytest.raises(KeyboardInterrupt):
        made(bench, Maker(bench, dies=True))
    (short,) = made(bench, Maker(bench, short=True))
    assert (short.bank, short.trouble) == (None, "7 of 20 copies are as good as the candidate")
    assert bank_of(PAIR, bench) is None
    (whole,) = made(bench, Maker(bench))
    assert whole.bank is not None


def summaries_of(bench):
    """Return what is known of the pair's models, by name."""
    entries = [one for one in reported_models(bench.store, PAIR.split).counting if PAIR.holds(one)]
    return {entry.name: summarise(bench, state_of(bench, entry)) for entry in entries}


def test_models_are_ranked_beside_the_bank(bench):
    """The planted class is flagged by p and is the right one, the clean model is not; nothing is compared twice."""
    made(bench, Maker(bench))
    bank = bank_of(PAIR, bench)
    steps = list(compare_pair(PAIR, bank, bench, {}, summaries_of(bench)))
    assert len(steps) == len(NUMBERS)
    assert all(step.new for step in steps)
    found = {step.row.name: step.row for step in steps}
    clean = found[source_of(PAIR, bench.store).name]
    assert (clean.source, clean.same_form, clean.copies, clean.by_p) == (True, True, COUNT, False)
    planted = [row for row in found.values() if row.attack != CLEAN]
    assert planted
    for row in planted:
        assert (row.by_p, row.right, row.flagged, row.unbelieved) == (True, True, True, "")
        assert row.p_value == pytest.approx(1 / (COUNT + 1))
        assert row.same_form == (form_of(draw(rows()[_number(row)])) == form_of(copied(PAIR)[0]))
    assert not any(step.new for step in compare_pair(PAIR, bank, bench, found, summaries_of(bench)))


def _number(row):
    return [one.name for one in rows()].index(row.name)


def test_a_model_unlike_the_copies_is_not_believed(bench):
    """Its trait is named, its p flags nothing, and the verdict is by limits."""
    made(bench, Maker(bench))
    bank, entry = bank_of(PAIR, bench), source_of(PAIR, bench.store)
    evidence = QuickScan()(entry, bench.policy, bench.conditions(entry))
    worse = evidence.model_copy(update={"samples": evidence.samples.model_copy(update={"accuracy": 0.5})})
    row = row_of(entry, worse, bank, bench.policy, source=entry)
    assert row.unlike == ("accuracy",)
    assert "no model like the bank's" in row.unbelieved
    assert not row.by_p


def test_a_model_without_a_whole_scan_is_no_row(bench):
    """Said, and not counted as approved."""
    made(bench, Maker(bench))
    entry = source_of(PAIR, bench.store)
    bench.cache.set_aside(bench.conditions(entry).manifest_digest, frozenset({"neural-cleanse"}))
    known, bank = summaries_of(bench), bank_of(PAIR, bench)
    assert known.pop(other := next(name for name in known if name != entry.name))
    missing = [step for step in compare_pair(PAIR, bank, bench, {}, known) if step.row is None]
    assert {step.entry.name for step in missing} == {entry.name, other}
    assert {step.why for step in missing} == {"not scanned by the whole policy yet"}


def test_splits_are_kept_apart_and_counted(tmp_path):
    """Writing one leaves the other; the table has a line a bank, and shares with exact intervals."""
    path = tmp_path / "rows.jsonl"
    write_rows("unseen", [_row("unseen-001", split="unseen")], path)
    clean = [_row(f"fit-00{number}", p_value=0.5, score=1.0) for number in range(3)]
    planted = [
        _row("fit-004", attack="badnets", backdoored=True, p_value=0.04, score=3.0, flagged=True, right=True),
        _row("fit-005", attack="badnets", backdoored=True, unlike=("accuracy",), unbelieved="unlike", score=2.0),
    ]
    write_rows("fit", [*clean, *planted], path)
    write_rows("fit", [*planted, *clean], path)
    assert [row.split for row in read_rows(path)] == ["fit"] * 5 + ["unseen"]
    line = table([row for row in read_rows(path) if row.split == "fit"]).splitlines()[2]
    assert line.startswith("| catalogue cnn | 20 | 0 of 3, 0% [0%, 71%] | 0 of 3, 0% [0%, 71%] | 1 of 1, 100%")
    assert "1 of 2, 50% [1%, 99%] | 0 of 3, 0% [0%, 71%], 1 of 2, 50% [1%, 99%] | 0 | 1.00 [1.00, 1.00] |" in line
    assert table([]).count("–")


def _row(name, **changes):
    values = {
        "split": "fit", "name": name, "task": "catalogue", "architecture": "cnn", "attack": CLEAN, "variant": "",
        "backdoored": False, "key": "k", "same_form": True, "source": False, "copies": 20, "score": 0.0,
        "p_value": 0.3, "level": 0.05, "flagged": False,
    }  # fmt: skip
    return Compared(**values | changes)
