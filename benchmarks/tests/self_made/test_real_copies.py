"""A bank that the gate itself trains and measures: three hasty copies of a committed model, workers in this process."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.efficacy.kept import Cache
from benchmarks.efficacy.scanning import Bench
from benchmarks.self_made import choosing
from benchmarks.self_made.choosing import Pair
from benchmarks.self_made.making import bank_of, data_path, make_banks
from benchmarks.zoo.store import Entry, Store
from benchmarks.zoo.tasks import TASKS
from gate.banks.making import make
from gate.policies.read import parse_policy
from gate.records.clock import today
from tests.stand_ins.workers_here import workers_here
from tests.zoo_subset.models import FOLDER, images

COUNT = 3
POLICY = """
version: 1
level: 0.25
least-references: 3
detectors:
  neural-cleanse: {options: {steps: 2, batch: 4, clean-samples: 40, pictured: 0}, limits: {size-ratio: {min: 0.01}}}
"""


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Return a zoo of one committed clean model, with images that are none of its samples as trusted data."""
    store, (line, *_) = Store(tmp_path), (FOLDER / "index.jsonl").read_text().splitlines()
    entry = Entry.model_validate(json.loads(line)["entry"])
    digest = store.put((FOLDER / "clean.pt2").read_bytes(), ".pt2")
    entry = entry.model_copy(update={"files": entry.files.model_copy(update={"exported": digest})})
    store.add(entry)
    row = entry.recipe.row
    monkeypatch.setitem(choosing.CHOSEN, "fit", ((row.task,), (row.architecture,)))
    for path, half in ((store.samples_path(row.task), "scan"), (store.root / "self-made/digits-6000.npz", "measure")):
        path.parent.mkdir(parents=True)
        np.savez(path, inputs=images(half).inputs.numpy(), labels=images(half).labels.numpy())
    policy = parse_policy(POLICY, name="policy.yml", on=today())
    return Bench(store, Cache.of(store), policy, budget=900.0), Pair("fit", row.task, row.architecture)


def hasty(registry, request, progress, tell):
    """Make the bank as the gate does, of copies that need not be as good as the model."""
    return make(registry, replace(request, tolerance=0.95, epochs=1), progress, tell)


def test_the_gate_makes_the_bank_and_it_is_known_again(bench):
    """Copies of the model's own program on the task's data; the same command then asks for nothing."""
    made_at, pair = bench
    told = []
    with workers_here():
        (made,) = make_banks(made_at, "fit", 1, COUNT, lambda *_: None, told.append, maker=hasty)
    assert made.trouble == ""
    assert made.bank.self_made.data == data_path(TASKS[pair.task], made_at.store).name
    assert len(made.bank.statistics) == COUNT
    assert any(line.startswith("copy 1, accuracy") for line in told)
    assert bank_of(pair, made_at, COUNT).bank == made.bank
