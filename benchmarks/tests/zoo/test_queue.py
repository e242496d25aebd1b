import pytest
from test_store import entry_of

from benchmarks.zoo.queue import holding, missing, work
from benchmarks.zoo.splits import rows
from benchmarks.zoo.store import Store
from gate.records.errors import CannotFinishError


class KilledError(Exception):
    pass


def maker(log, dies_at=None):
    """Return a stand-in for training that records what it is asked for, and may die."""

    def make_one(recipe, store):
        if len(log) == dies_at:
            raise KilledError
        log.append(recipe.row.name)
        entry = entry_of([row.name for row in rows()].index(recipe.row.name))
        store.add(entry)
        return entry

    return make_one


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    """Finished models are skipped, the one in training is made again, and the order is the written one."""
    store, first, second = Store.at(tmp_path), [], []
    with pytest.raises(KilledError):
        list(work(store, missing(store)[:5], make_one=maker(first, dies_at=2)))
    assert first == [row.name for row in rows()[:2]]
    list(work(store, missing(store)[:3], make_one=maker(second)))
    assert second == [row.name for row in rows()[2:5]]


def test_missing_can_be_asked_for_one_split(tmp_path):
    """Only that split's recipes come, in order."""
    calibrate = [recipe.row for recipe in missing(Store.at(tmp_path), "calibrate")]
    assert calibrate == [row for row in rows() if row.split == "calibrate"]


def test_what_another_machine_made_can_be_left_to_it(tmp_path):
    """Recipes with an entry in the index are not made again where that is asked."""
    wanted = [recipe.row.name for recipe in missing(Store.at(tmp_path), "fit", [entry_of(1), entry_of(3)])]
    assert wanted == [row.name for row in rows() if row.split == "fit" and row not in (rows()[1], rows()[3])]


def test_a_second_run_on_the_same_cache_is_refused(tmp_path):
    """Two runs would make the same models; the second one is told so, and may come when the first is done."""
    store = Store.at(tmp_path)
    with holding(store), pytest.raises(CannotFinishError, match="another run"):
        list(work(store, [], make_one=maker([])))
    assert list(work(store, [], make_one=maker([]))) == []
