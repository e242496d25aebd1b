from collections import Counter
from dataclasses import dataclass

import pytest
import torch
from made_up import put_model

from benchmarks.efficacy import peering
from benchmarks.efficacy.peer import PeerResult
from benchmarks.efficacy.subjects import models_of
from benchmarks.zoo.store import Store
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


def test_collecting_one_peer_keeps_the_others(store, plain, tmp_path):
    """Answers of peers that are not asked about stay in the file."""
    entries, path = models_of(store, "fit").counting, tmp_path / "peers.jsonl"
    for peer in (Fixed(), Fixed(id="other")):
        list(peering.run(store, peer, entries, 0))
        peering.collect(store, [peer], entries, 0, path)
    assert Counter(row.peer for row in peering.read(path)) == {"fixed": len(entries), "other": len(entries)}


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
