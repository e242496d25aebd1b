import hashlib

import pytest
import torch

from benchmarks.zoo.making import planned
from benchmarks.zoo.measuring import measure
from benchmarks.zoo.recipe import draw
from benchmarks.zoo.store import Store, read_index, weights_digest
from benchmarks.zoo.subset import FOLDER, MEMBERS, SUMS, TRIGGERS, read_subset, write_subset
from gate.programs import read_program
from gate.records.errors import CannotFinishError

TOLERANCE = 0.002
"""Two of the thousand images on which the index was measured: another processor may round a close call otherwise."""

SUBSET = read_subset()


def test_the_subset_is_small_and_of_the_fit_split():
    """All members are models that count, of the split on which settings may be chosen, in at most three megabytes."""
    assert {member.nickname: member.entry.name for member in SUBSET.values()} == MEMBERS
    assert all(member.entry.counts and member.entry.recipe.row.split == "fit" for member in SUBSET.values())
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) <= 3_000_000


@pytest.mark.parametrize("nickname", MEMBERS)
def test_the_bytes_are_those_of_the_index(nickname):
    """The file has its digest, and its tensors by name are those whose digest the zoo's index states."""
    member = SUBSET[nickname]
    path = FOLDER / f"{nickname}.pt2"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == member.sha256
    assert path.stat().st_size == member.size_bytes
    program = read_program(path)
    state = {one.qualified_name: program.tensors[one.name] for one in program.state if one.persistent}
    assert weights_digest(state) == member.entry.weights_digest


def test_the_images_have_their_digests():
    """The committed images are the ones that were written with the models."""
    lines = [line.split() for line in (FOLDER / SUMS).read_text().splitlines()]
    assert len(lines) == 2
    for digest, name in lines:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest


def test_the_rows_are_those_of_the_zoo():
    """A member is made by today's recipe of its row, and where the zoo's index has the same recipe it says the same."""
    index = {entry.key: entry for entry in read_index()}
    for member in SUBSET.values():
        assert draw(member.entry.recipe.row).key == member.entry.key, "stale: run python -m benchmarks.zoo subset"
        assert index.get(member.entry.key, member.entry).weights_digest == member.entry.weights_digest


@pytest.mark.parametrize("nickname", MEMBERS)
def test_accuracy_and_attack_success_are_as_the_index_says(nickname, zoo_model, zoo_images):
    """Recomputed through the gate's reader on the whole measuring half, both are what the index has."""
    model, entry = zoo_model(nickname), SUBSET[nickname].entry
    with torch.no_grad():
        now = measure(model.classifier().logits, zoo_images("measure"), planned(entry.recipe))
    assert now.clean_accuracy == pytest.approx(entry.clean_accuracy, abs=TOLERANCE)
    if nickname == "clean":
        assert now.attack_success is entry.attack_success is None
    else:
        assert now.attack_success == pytest.approx(entry.attack_success, abs=TOLERANCE)
        assert model.targets


@pytest.mark.parametrize("nickname", TRIGGERS)
def test_a_committed_trigger_is_the_planted_one(nickname, zoo_model, zoo_images):
    """Its numbers make of an image what the recipe's own trigger makes of it."""
    (planted,) = planned(SUBSET[nickname].entry.recipe).triggers
    inputs = zoo_images("scan").inputs
    torch.testing.assert_close(zoo_model(nickname).trigger(inputs), planted.apply(inputs))


def test_a_model_folder_and_samples_are_as_the_gate_takes_them(zoo_model, zoo_samples, tmp_path):
    """A test can hand a committed model to `gate check` as a folder and an .npz file."""
    from gate.records.artifact import file_sha256
    from gate.spaces.image.samples import read_samples
    from gate.worker.loading.candidate import find_candidate

    folder = zoo_model("badnets").write_folder(tmp_path / "model")
    assert find_candidate(folder).format == "pt2"
    raw = read_samples(zoo_samples, "test", file_sha256(zoo_samples))
    assert raw.inputs.shape == (200, 1, 28, 28)
    assert raw.inputs.max() <= 1
    assert sorted(set(raw.labels.tolist())) == list(range(10))


def test_writing_the_subset_needs_the_models(tmp_path):
    """An empty cache is said, with what to do."""
    with pytest.raises(CannotFinishError, match="fit-047"):
        write_subset(Store.at(tmp_path / "cache"), tmp_path / "out")
