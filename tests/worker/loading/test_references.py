"""References are read strictly, used where they do the candidate's task, and otherwise recorded with the reason."""

import pytest
import torch
from torch import nn

from gate.programs.writer.write import export_module
from gate.records.bank import open_bank, write_bank
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Samples
from gate.worker.loading.module_classifier import ModuleClassifier
from gate.worker.loading.references import load_references

SHAPE = (1, 6, 6)


def rows(classes=3, side=6, sign=1.0):
    """Return a net that tells which band of rows is brightest, or with a negative sign which is not."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(side * side, classes)).eval()
    with torch.no_grad():
        band = torch.arange(side * side) // side * classes // side
        module[1].weight.copy_(sign * (band == torch.arange(classes).unsqueeze(1)).float())
        module[1].bias.zero_()
    return module


def samples(*, labelled=True):
    """Return images with one brighter band of rows, and which."""
    labels = torch.arange(30) % 3
    band = torch.arange(6) // 2
    inputs = 0.3 * torch.rand(30, *SHAPE, generator=torch.Generator().manual_seed(0))
    inputs += 0.6 * (band.view(1, 1, 6, 1) == labels.view(-1, 1, 1, 1))
    return Samples(inputs, labels if labelled else None, "rows")


OTHERS = {
    "another shape": (lambda: rows(side=4), (1, 4, 4), "it takes inputs of shape"),
    "other classes": (lambda: rows(classes=2), SHAPE, "it has 2 classes; the candidate has 3"),
    "another task": (lambda: rows(sign=-1.0), SHAPE, "it gets 0.0% of the clean samples right; expected 66.7%"),
}


@pytest.fixture
def folder(tmp_path):
    """Return a folder with two programs that do the task."""
    torch.set_num_threads(1)
    for number in range(2):
        module = rows()
        with torch.no_grad():
            module[1].weight.mul_(1 + number)
        export_module(module, samples().inputs[:2], tmp_path / f"good-{number}.pt2")
    return tmp_path


def loaded(folder, third, *, labelled=True):
    """Return what becomes of a bank of the two and a third."""
    bank = open_bank(_written(folder, third)).bank
    clean = samples(labelled=labelled)
    candidate = ModuleClassifier.of(rows(), clean.inputs[:2], Preprocessing(), (0.0, 1.0))
    return load_references(bank, folder, candidate, clean, Preprocessing())


def _written(folder, third):
    write_bank(folder / "bank.json", [*sorted(folder.glob("good-*.pt2")), third])
    return folder / "bank.json"


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("other", OTHERS)
def test_a_reference_of_another_task_is_recorded_and_not_used(other, labelled, folder):
    """The others are used; without labels they are held against the candidate's own answers."""
    build, shape, why = OTHERS[other]
    export_module(build(), torch.rand(2, *shape), folder / "third.pt2")
    found = loaded(folder, folder / "third.pt2", labelled=labelled)
    assert [seen.used for seen in found.evidence] == [True, True, False]
    assert why in found.evidence[2].why
    assert len(found.classifiers) == 2
    assert [seen.accuracy for seen in found.evidence[:2]] == [1.0, 1.0]


def test_bytes_that_are_no_program_are_recorded_and_not_used(folder):
    """What the strict reader refuses is no reference, and no end of the scan."""
    (folder / "third.pt2").write_bytes(b"PK\x03\x04 and nothing more")
    found = loaded(folder, folder / "third.pt2")
    assert not found.evidence[2].used
    assert "refused" in found.evidence[2].why


def test_a_reference_that_changed_since_is_recorded_and_not_used(folder):
    """The worker hashes what it reads again."""
    third, module = folder / "third.pt2", rows()
    with torch.no_grad():
        module[1].weight.mul_(5)
    export_module(module, samples().inputs[:2], third)
    bank = open_bank(_written(folder, third)).bank
    third.write_bytes(b"changed")
    candidate = ModuleClassifier.of(rows(), samples().inputs[:2], Preprocessing(), (0.0, 1.0))
    found = load_references(bank, folder, candidate, samples(), Preprocessing())
    assert "changed between pull and scan: pulled sha256:" in found.evidence[2].why
    assert len(found.classifiers) == 2


def test_a_reference_of_several_outputs_stands_by_the_one_of_the_candidates_name(folder):
    """By its name first, then by the number of classes and what it gets right."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.right, self.wrong, self.wide = rows(), rows(sign=-1.0), rows(classes=2)

        def forward(self, x):
            return {"wide": self.wide(x), "wrong": self.wrong(x), "right": self.right(x)}

    export_module(Two().eval(), samples().inputs[:2], folder / "third.pt2")
    bank = open_bank(_written(folder, folder / "third.pt2")).bank
    candidate = ModuleClassifier.of(rows(), samples().inputs[:2], Preprocessing(), (0.0, 1.0))
    for name, used in {"right": True, "wrong": False, "another": True}.items():
        found = load_references(bank, folder, candidate, samples(), Preprocessing(), name)
        assert found.evidence[2].used == used
