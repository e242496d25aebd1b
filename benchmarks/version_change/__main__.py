"""Clean and poisoned updates of clean models of the zoo, beside the version before and its own history.

    python -m benchmarks.version_change train [--split fit] [--models 8] [--cache DIR]
    python -m benchmarks.version_change measure [--split fit] [--models 8] [--cache DIR]

Statistics and limits were chosen on updates of *fit*; of *unseen* nothing was. `measure` writes a row a candidate to
`benchmarks/results/version_change.jsonl` (`version_change-unseen.jsonl`), prints them, and counts what the packaged
policy's limits flag. A model counts when all its updates are made.
"""

import argparse
import json
import time
from pathlib import Path

from benchmarks.efficacy.subjects import models_of
from benchmarks.version_change.flagging import flagged
from benchmarks.version_change.measuring import rows_of, table
from benchmarks.version_change.updating import Kept, make, names
from benchmarks.zoo.recipe import CLEAN
from benchmarks.zoo.store import Entry, Store, write_whole

RESULTS = Path(__file__).parents[1] / "results"
ROWS = {"fit": RESULTS / "version_change.jsonl", "unseen": RESULTS / "version_change-unseen.jsonl"}
CACHE = Path.home() / ".cache" / "gate-version-change"


def main() -> None:
    """Train or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("train", "measure"))
    parser.add_argument("--split", choices=tuple(ROWS), default="fit")
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--cache", type=Path, default=CACHE)
    given = parser.parse_args()
    store = Store.at()
    counting = models_of(store, given.split).counting
    entries = [one for one in counting if one.recipe.row.attack == CLEAN][: given.models]
    kept = {entry.name: Kept(given.cache / entry.name) for entry in entries}
    if given.step == "train":
        for entry in entries:
            _train(entry, store, kept[entry.name])
        return
    whole = [entry for entry in entries if all(kept[entry.name].update(name) for name in names())]
    rows = [row for entry in whole for row in rows_of(entry, store, kept[entry.name])]
    write_whole(ROWS[given.split], "".join(f"{json.dumps(row, sort_keys=True)}\n" for row in rows).encode())
    table(rows)
    print("\n".join(flagged(rows)))


def _train(entry: Entry, store: Store, kept: Kept) -> None:
    began = time.process_time()
    make(entry, store, kept)
    print(f"{entry.name}: {time.process_time() - began:.0f} processor seconds", flush=True)


if __name__ == "__main__":
    main()
