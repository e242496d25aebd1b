from collections import Counter
from dataclasses import dataclass

import pytest
import torch
from click.testing import CliRunner
from made_up import put_model

from benchmarks.efficacy import peering
from benchmarks.efficacy import peers as published
from benchmarks.efficacy.measuring_commands import peers
from benchmarks.efficacy.peer import PeerResult
from benchmarks.efficacy.subjects import models_of
from benchmarks.zoo.splits import rows
from benchmarks.zoo.store import Store
from gate.programs import RefusedError
from gate.records.errors import CannotFinishError


@dataclass
class Fixed:
    """A peer that always names class 3, or breaks."""

    id: str = "fixed"
    revision: int = 1
    needs_training_set: bool = False
    breaks: bool = False
    asked: int = 0

    def measure(self, model, inputs, labels, classes, seed):
        """Answer without looking."""
        self.asked += 1
        if self.breaks:
            raise RuntimeError("no gradient")
        return PeerResult(True, (3,), 4.0, {"index": 4.123456789}, 10, 0.5)


@pytest.fixture
def plain(monkeypatch):
    """Let models be read without a program, and tasks be without data."""
    monkeypatch.setattr(peering, "read_module", lambda store, entry: torch.nn.Identity())
    tiny = type("Task", (), {"classes": 10, "scan": type("I", (), {"inputs": torch.zeros(1), "labels": None})()})
    monkeypatch.setattr(peering, "TASKS", dict.fromkeys(("fashion", "digits", "catalogue", "colour"), tiny))


def test_a_peer_is_asked_once_a_model(store, plain):
    """A second run asks nothing; another revision asks anew."""
    entries, peer = models_of(store, "fit").counting, Fixed()
    assert len(list(peering.run(store, peer, entries, 0))) == len(entries)
    assert list(peering.run(store, peer, entries, 0)) == []
    assert peer.asked == len(entries)
    assert len(list(peering.run(store, Fixed(revision=2), entries, 0))) == len(entries)


def test_answers_are_counted_like_the_gates(store, plain, tmp_path):
    """Naming the planted class is right, naming one of a clean model is a false alarm."""
    entries, path = models_of(store, "fit").counting, tmp_path / "peers.jsonl"
    list(peering.run(store, Fixed(), entries, 0))
    rows = peering.judged(peering.collect(store, [Fixed()], entries, 0, path), entries)
    assert [row.all_right for row in rows] == [row.backdoored for row in rows]
    assert all(row.flagged for row in rows)
    assert peering.read(path)[0].statistics == {"index": 4.12346}


def test_a_peer_that_breaks_is_an_answer(store, plain, tmp_path):
    """The error is kept, decides nothing, and is not tried again."""
    entries, peer = models_of(store, "fit").counting[:1], Fixed(breaks=True)
    assert next(peering.run(store, peer, entries, 0)).error == "RuntimeError: no gradient"
    assert list(peering.run(store, peer, entries, 0)) == []
    row = peering.judged(peering.collect(store, [peer], entries, 0, tmp_path / "peers.jsonl"), entries)[0]
    assert (row.flagged, row.score, row.note) == (None, None, "RuntimeError: no gradient")


def test_a_package_that_is_missing_is_no_answer(store, plain):
    """Where a peer cannot be run at all the run ends with that word, and nothing is kept."""
    entries = models_of(store, "fit").counting[:1]

    class Absent(Fixed):
        def measure(self, model, inputs, labels, classes, seed):
            raise CannotFinishError("it is not installed")

    with pytest.raises(CannotFinishError):
        list(peering.run(store, Absent(), entries, 0))
    assert len(list(peering.run(store, Fixed(), entries, 0))) == 1


def test_a_program_that_cannot_be_run_otherwise_is_an_answer(store, plain):
    """The reader's refusal is about the model: the others are asked all the same."""
    entries = models_of(store, "fit").counting

    class Refused(Fixed):
        def measure(self, model, inputs, labels, classes, seed):
            raise RefusedError("batch", "cannot be vectorised")

    assert [bool(row.error) for row in peering.run(store, Refused(), entries, 0)] == [True] * len(entries)


def test_collecting_one_peer_keeps_the_others(store, plain, tmp_path):
    """Answers of peers that are not asked about stay in the file."""
    entries, path = models_of(store, "fit").counting, tmp_path / "peers.jsonl"
    for peer in (Fixed(), Fixed(id="other")):
        list(peering.run(store, peer, entries, 0))
        peering.collect(store, [peer], entries, 0, path)
    assert Counter(row.peer for row in peering.read(path)) == {"fixed": len(entries), "other": len(entries)}


def test_the_command_asks_a_part_and_leaves_other_peers_answers(store, plain, tmp_path, monkeypatch):
    """Answers that another cache holds stay as they are committed; the part is of each arm."""
    entries, fixed, other = models_of(store, "fit").counting, Fixed(), Fixed(id="other")
    monkeypatch.setattr(published, "PEERS", {"fixed": fixed, "other": other})
    list(peering.run(store, other, entries, 0))
    peering.collect(store, [other], entries, 0, tmp_path / "fit-peers.jsonl")
    for entry in entries:
        peering.PeerCache.of(store).forget(other, entry, 0)
    asked = ["--cache", str(store.root), "--evidence", str(tmp_path), "--peers", "fixed", "--subset", "1"]
    assert CliRunner().invoke(peers, asked).exit_code == 0
    arms = {peering.arm_of(entry.recipe.row) for entry in entries}
    found = Counter(row.peer for row in peering.read(tmp_path / "fit-peers.jsonl"))
    assert found == {"fixed": len(arms), "other": len(entries)}


def test_answers_on_models_of_another_machine_stay(store, plain, tmp_path):
    """A peer's answer on a program that is elsewhere stays beside new ones; one by an older revision goes."""
    entries, path, fixed = models_of(store, "fit").counting, tmp_path / "peers.jsonl", Fixed()
    list(peering.run(store, fixed, entries[:2], 0))
    peering.collect(store, [fixed], entries[:2], 0, path)
    for entry in entries[:2]:
        peering.PeerCache.of(store).forget(fixed, entry, 0)
    list(peering.run(store, fixed, entries[2:3], 0))
    elsewhere = {entries[0].files.exported}
    rows = peering.collect(store, [fixed], entries[1:], 0, path, elsewhere)
    assert {row.name for row in rows} == {entries[0].name, entries[2].name}
    assert peering.collect(store, [Fixed(revision=2)], entries[1:], 0, path, elsewhere) == []


def test_every_beginning_of_the_drawn_order_has_all_kinds(tmp_path):
    """A third of the models holds about a third of every stratum, and the same seed gives the same order."""
    store = Store.at(tmp_path)
    entries = [put_model(store, number) for number in range(77)]
    order = peering.in_strata(entries, 0)
    assert sorted(entry.name for entry in order) == [entry.name for entry in entries]
    clean = sum(entry.recipe.row.attack == "clean" for entry in order[:25])
    assert 8 <= clean <= 13
    assert peering.in_strata(entries, 0) == order
    assert peering.in_strata(entries, 1) != order


def test_the_drawn_order_does_not_depend_on_what_is_made(tmp_path):
    """A model that is not made yet, or does not count, moves none of the others; a few of each arm are a part."""
    store = Store.at(tmp_path)
    entries = [put_model(store, number) for number in range(77)]
    order = peering.in_strata(entries, 0)
    assert peering.in_strata(entries[::3], 0) == [entry for entry in order if entry in entries[::3]]
    counts = Counter(peering.arm_of(entry.recipe.row) for entry in order)
    part = peering.of_each(order, 2)
    assert Counter(peering.arm_of(entry.recipe.row) for entry in part) == {arm: min(n, 2) for arm, n in counts.items()}


def test_the_part_of_unseen_for_slow_peers_is_written_down():
    """With `--subset 1` and seed 0: the first of each arm, or the next where it does not count."""
    order = peering.drawn([row for row in rows() if row.split == "unseen"], 0)
    first = {peering.arm_of(row): row.name for row in reversed(order)}
    assert {arm: int(name.removeprefix("unseen-")) for arm, name in first.items()} == {
        "clean digits": 310, "clean fashion": 288, "clean catalogue": 41, "clean colour": 265,
        "clean one": 323, "clean two": 775, "clean three": 545, "clean five": 97, "clean seven": 655,
        "badnets": 209, "patch-off-grid": 516, "multi-target": 444, "payload": 142, "architectural": 15,
        "blended": 744, "adaptive-blend": 488, "blend-off-grid": 394, "wanet": 497, "warp-off-grid": 533,
        "input-aware": 430, "lira": 640, "sig": 625, "sig-off-grid": 249,
        "source-specific": 523, "source-specific-off-grid": 597, "all-to-all": 366, "all-to-all-off-grid": 145,
        "label-consistent": 414, "label-consistent-off-grid": 553, "semantic-combined": 208, "semantic-outside": 684,
    }  # fmt: skip
