"""Works through the splits: what is missing is made, in the written order, by one process or several.

Above `making` and `store`. A model that is in the cache is skipped, so a run that was ended goes on where it was; it
loses at most the models in training. One run at a time holds the cache.
"""

import fcntl
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from benchmarks.zoo.making import keep, make
from benchmarks.zoo.recipe import Recipe, Split, draw
from benchmarks.zoo.splits import rows
from benchmarks.zoo.store import Entry, Store
from gate.records.errors import CannotFinishError

Make = Callable[[Recipe, Store], Entry]


def make_and_keep(recipe: Recipe, store: Store) -> Entry:
    """Make one model and put it into the store."""
    return keep(recipe, make(recipe), store)


def missing(store: Store, split: Split | None = None, indexed: Iterable[Entry] = ()) -> list[Recipe]:
    """Return the recipes without a model in the store and without an entry among the indexed, in the written order."""
    elsewhere = {one.key for one in indexed}
    wanted = without_model(store, [draw(row) for row in rows() if split in (None, row.split)])
    return [recipe for recipe in wanted if recipe.key not in elsewhere]


def without_model(store: Store, recipes: Sequence[Recipe]) -> list[Recipe]:
    """Return those of the recipes that have no model in the store."""
    return [recipe for recipe in recipes if store.entry(recipe) is None]


def work(
    store: Store, recipes: Sequence[Recipe], *, jobs: int = 1, make_one: Make = make_and_keep
) -> Iterator[tuple[Entry, float]]:
    """Make these models and yield each as it is finished, with the seconds that it took on the clock."""
    with holding(store):
        if jobs == 1:
            for recipe in recipes:
                yield _timed(make_one, recipe, store)
            return
        # Spawned, not forked: torch's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, mp_context=context) as pool:
            waiting = [pool.submit(_timed, make_one, recipe, store) for recipe in recipes]
            for done in as_completed(waiting):
                yield done.result()


def _timed(make_one: Make, recipe: Recipe, store: Store) -> tuple[Entry, float]:
    began = time.monotonic()
    entry = make_one(recipe, store)
    return entry, time.monotonic() - began


@contextmanager
def holding(store: Store) -> Iterator[Path]:
    """Hold the cache for one run; a second one is told so."""
    store.root.mkdir(parents=True, exist_ok=True)
    path = store.root / "lock"
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotFinishError(
                f"another run is training into {store.root}", what_to_do="Wait for it, or give another --cache."
            ) from None
        yield path
