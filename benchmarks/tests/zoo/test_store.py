import pytest
import torch

from benchmarks.zoo.recipe import draw
from benchmarks.zoo.splits import rows
from benchmarks.zoo.store import Entry, Files, Store, merge_index, read_index, weights_digest, write_whole
from gate.records.errors import CannotFinishError

HEX = "0" * 64


def entry_of(number, key=None):
    """Return an entry for a row of the splits, as if its model had been made."""
    recipe = draw(rows()[number])
    return Entry(
        name=recipe.row.name,
        key=key or recipe.key,
        recipe=recipe,
        facts={"targets": [1], "rate": 0.05},
        parameters=10,
        clean_accuracy=0.95,
        attack_success=None if recipe.row.attack == "clean" else 0.95,
        counts=True,
        weights_digest=HEX,
        files=Files(exported=HEX, weights=HEX),
        seconds=1.0,
        versions={"torch": "2"},
    )


def test_the_index_gives_back_what_was_recorded(tmp_path):
    """Merging writes one line per made model, in the order of the splits, and reading gives equal entries."""
    store, index = Store.at(tmp_path / "cache"), tmp_path / "index.jsonl"
    for number in (5, 2):
        store.add(entry_of(number))
    assert merge_index(store, index) == [entry_of(2), entry_of(5)]
    assert read_index(index) == [entry_of(2), entry_of(5)]
    assert index.read_text().count("\n") == 2


def test_merging_keeps_models_of_another_machine_and_drops_stale_ones(tmp_path):
    """An entry stays without its cache while its recipe is today's; an entry of an older recipe goes."""
    index = tmp_path / "index.jsonl"
    stale = entry_of(1, key="f" * 32)
    write_whole(index, "".join(f"{one.canonical_json().decode()}\n" for one in (entry_of(3), stale)).encode())
    store = Store.at(tmp_path / "cache")
    store.add(entry_of(0))
    assert [one.name for one in merge_index(store, index)] == [rows()[0].name, rows()[3].name]


def test_a_missing_index_is_empty(tmp_path):
    """Nothing made yet is no error."""
    assert read_index(tmp_path / "none.jsonl") == []


def test_objects_lie_under_their_digest_and_are_checked(tmp_path):
    """What was put comes back under its digest; changed bytes are refused."""
    store = Store.at(tmp_path)
    digest = store.put(b"weights", ".pt")
    assert store.get(digest, ".pt").read_bytes() == b"weights"
    store.object_path(digest, ".pt").write_bytes(b"other")
    with pytest.raises(CannotFinishError, match="changed"):
        store.get(digest, ".pt")
    with pytest.raises(CannotFinishError, match="missing"):
        store.get(HEX, ".pt")


def test_the_weights_digest_knows_names_shapes_and_values():
    """Order of insertion does not matter; a name, a shape or a value does."""
    a, b = torch.arange(4.0), torch.ones(2, dtype=torch.int64)
    digest = weights_digest({"a": a, "b": b})
    assert digest == weights_digest({"b": b, "a": a.clone()})
    others = [{"a": a, "c": b}, {"a": a.reshape(2, 2), "b": b}, {"a": a + 1, "b": b}, {"a": a, "b": b.to(torch.int32)}]
    assert len({digest, *(weights_digest(other) for other in others)}) == 5


def test_the_cache_is_where_the_variable_says(tmp_path, monkeypatch):
    """`GATE_ZOO` moves the cache; a folder given in the call goes before it."""
    monkeypatch.setenv("GATE_ZOO", str(tmp_path / "a"))
    assert Store.at().root == tmp_path / "a"
    assert Store.at(tmp_path / "b").root == tmp_path / "b"
