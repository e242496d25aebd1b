"""The grid of probes alone: counts are kept a file a model, and another model stands out beside those of one."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.probe_grid.__main__ import lines, probe_grid
from benchmarks.probe_grid.comparing import Compared, compared
from benchmarks.probe_grid.counting import Counted, count, kept
from benchmarks.zoo.store import Entry, Store
from gate.records.counts import Counts

SUBSET = Path(__file__).parents[3] / "tests" / "zoo_subset"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return a cache with the samples that the committed models are scanned with."""
    made = Store(tmp_path_factory.mktemp("zoo"))
    samples = made.samples_path("digits")
    samples.parent.mkdir(parents=True)
    with np.load(SUBSET / "digits-scan.npz") as arrays:
        np.savez(samples, inputs=arrays["inputs"], labels=arrays["labels"])
    return made


@pytest.fixture(scope="module")
def entries(store):
    """Return the committed models' records, by attack."""
    found = {}
    for row in map(json.loads, (SUBSET / "index.jsonl").read_text().splitlines()):
        entry = Entry.model_validate(row["entry"])
        digest = store.put((SUBSET / f"{row['nickname']}.pt2").read_bytes(), ".pt2")
        files = entry.files.model_copy(update={"exported": digest})
        found[entry.recipe.row.attack] = entry.model_copy(update={"files": files})
    return found


def like(counts, seed):
    """Return counts of a model like another: one sample in twenty is counted at another answer."""
    draw, width = random.Random(seed), counts.shape[2]
    cells = bytearray(counts.cells())
    for at, value in enumerate(counts.cells()):
        for _ in range(value):
            if draw.random() < 0.05:
                cells[at] -= 1
                cells[at - at % width + draw.randrange(width)] += 1
    return Counts.of(counts.probes, counts.shape, counts.samples, bytes(cells))


def test_counts_are_kept_and_another_model_stands_out(store, entries):
    """Counted once; beside nineteen models that answer like the clean one, the backdoored model has the least p."""
    asked = [entries["clean"], entries["badnets"]]
    assert [entry.name for entry, passes in count(asked, store) if passes > 0] == [entry.name for entry in asked]
    assert list(count(asked, store)) == []
    clean, planted = (kept(entry, store) for entry in asked)
    bank = [Counted(asked[0], like(clean, seed)) for seed in range(19)]
    found = compared(Counted(asked[1], planted), bank)
    assert found.p_value == pytest.approx(0.05)
    assert found.telling.share > found.telling.others
    assert compared(Counted(asked[0], like(clean, 99)), bank).score < found.score / 2


def test_a_damaged_file_is_counted_again(store, entries):
    """What cannot be read is none."""
    entry = entries["wanet"]
    path = store.root / "probe-grid" / f"{entry.files.exported}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{")
    assert kept(entry, store) is None


def test_the_table_counts_right_classes_among_what_is_flagged():
    """A line an attack, all together, and the clean ones."""
    made = [
        Compared("a", "digits", "badnets", 9.0, 0.05, "class 1", right=True, telling=None),
        Compared("b", "digits", "badnets", 1.0, 0.5, "class 1", right=True, telling=None),
        Compared("c", "digits", "clean", 2.0, 0.3, "class 2", right=None, telling=None),
    ]
    found = lines(made)
    assert found[0].startswith("| badnets | 1 of 2 | 1 | 0.50")
    assert found[-1] == "clean: 0 of 1 flagged"


def test_nothing_is_opened_but_what_settings_may_see(tmp_path):
    """The split that is reported is no choice; an empty cache has nothing to count."""
    runner = CliRunner()
    refused = runner.invoke(probe_grid, ["count", "--split", "unseen"])
    assert refused.exit_code == 2
    told = runner.invoke(probe_grid, ["count", "--cache", str(tmp_path)])
    assert told.output == "0 models, 0 to count\n"
