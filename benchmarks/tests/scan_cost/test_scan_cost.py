"""Operations are counted where they are done, and divided by those of one pass forward and back to the input."""

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from benchmarks.efficacy.cost import SHAPE, write_net
from benchmarks.efficacy.keys import reduced
from benchmarks.scan_cost import table
from benchmarks.scan_cost.__main__ import scan_cost
from benchmarks.scan_cost.cases import written
from benchmarks.scan_cost.counting import READING, REFERENCES, Costs, Spent, Unit, costs_of, counter, unit_of
from gate.detectors.contract import Detector, Need
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.programs import read_program
from gate.records.clock import today
from gate.records.declarations import Metric, Options
from gate.records.errors import CannotFinishError
from gate.records.evidence import Measurement
from gate.spaces.image.preprocessing import Preprocessing
from gate.worker.loading.program_classifier import ProgramClassifier

CLASSES, CHANNELS, SAMPLES = 3, 4, 30
SIDE = SHAPE[1]
CONVOLUTION = 2 * SIDE * SIDE * 9 * CHANNELS
LAYER = 2 * SIDE * SIDE * CHANNELS * CLASSES
FORWARDS, BATCH = 7, 6
"""Passes forward of the detector made up here, and samples in each."""


class Attending(nn.Module):
    """Two heads of attention over the rows of an image, and a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(SIDE, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, 1, 28, 28) to logits (N, 3)."""
        rows = x.reshape(-1, SIDE, 2, SIDE // 2).transpose(1, 2)
        seen = nn.functional.scaled_dot_product_attention(rows, rows, rows)
        logits: torch.Tensor = self.head(seen.transpose(1, 2).reshape(-1, SIDE, SIDE).mean(1))
        return logits


def convolving():
    """Return a convolution and a layer with fresh weights."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, CHANNELS, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(CHANNELS * SIDE * SIDE, CLASSES)
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the convolving net as a model folder with samples that carry its own answers, three classes of them."""
    net = convolving().eval()
    with torch.no_grad():
        drawn = torch.rand((SAMPLES, *SHAPE), generator=torch.Generator().manual_seed(0))
        net[3].bias -= net(drawn).mean(0)
        labels = net(drawn).argmax(1)
    assert len(labels.unique()) == CLASSES
    return written("made up", net, drawn, labels, tmp_path_factory.mktemp("case"))


def classifier_of(made_folder):
    """Return a folder's program as the gate reads it."""
    example = torch.rand((4, *SHAPE), generator=torch.Generator().manual_seed(1))
    program = read_program(made_folder / "data" / "model.pt2")
    return ProgramClassifier.of(program, example, Preprocessing(), (0.0, 1.0)), example


def by(make_passes, monkeypatch):
    """Return the default policy with its first stage of models alone, where one detector makes these passes."""

    def measure(subject, _options, _run):
        make_passes(subject.classifier, subject.samples.inputs[:BATCH])
        yield Measurement(metric="nothing", value=0.0)

    spec = Detector(
        id="probe-grid",
        title="Passes",
        doing="passes",
        needs=Need.MODEL | Need.SAMPLES,
        metrics=(Metric("nothing", "none", "higher", "Nothing."),),
        options=Options,
        measure=measure,
    )
    policy = reduced(read_policy(DEFAULT, on=today()), [spec.id], deadline=60)
    monkeypatch.setattr("gate.detectors.load", lambda _id: spec)
    return policy


def forwards(classifier, x):
    """Make passes forward alone."""
    with torch.no_grad():
        for _ in range(FORWARDS):
            classifier.logits(x)


def with_gradients(classifier, x):
    """Make passes forward and back to the input."""
    x = x.clone().requires_grad_()
    for _ in range(FORWARDS):
        torch.autograd.grad(classifier.logits(x).sum(), x)


def failing(_classifier, _x):
    """Break."""
    raise ValueError("broken")


def test_a_program_takes_the_operations_of_its_layers_forward_and_back(made):
    """A multiplication and an addition are two; there and back take the same, and one sample is what counts."""
    classifier, example = classifier_of(made.folder)
    unit = unit_of(classifier, example)
    assert unit == Unit(forward=CONVOLUTION + LAYER, gradient=CONVOLUTION + LAYER)
    assert unit.equivalents(unit.forward) == 0.5
    with counter() as operations:
        with_gradients(classifier, example)
    assert unit.equivalents(operations.get_total_flops()) == FORWARDS * len(example)


def test_attention_is_counted_on_a_cpu_too(tmp_path):
    """Two products forward, and five back, the first of them made again."""
    classifier, example = classifier_of(write_net(Attending(), tmp_path))
    product, layer = 2 * 2 * SIDE * SIDE * (SIDE // 2), 2 * SIDE * CLASSES
    assert unit_of(classifier, example) == Unit(forward=2 * product + layer, gradient=5 * product + layer)


@pytest.mark.parametrize(("passes", "each"), [(forwards, 0.5), (with_gradients, 1.0)])
def test_a_detector_takes_what_its_passes_take(made, monkeypatch, passes, each):
    """A pass forward counts its part of a pass with its gradient, beside what reading the model took."""
    costs = costs_of(made.job(by(passes, monkeypatch)))
    reading, references, one = costs.spent
    assert (reading.name, references.name, one.name) == (READING, REFERENCES, "probe-grid")
    assert (references.passes, references.operations) == (0, 0)
    assert reading.passes >= SAMPLES
    assert costs.unit.equivalents(reading.operations) >= reading.passes / 2
    assert one.passes == FORWARDS * BATCH
    assert costs.unit.equivalents(one.operations) == each * FORWARDS * BATCH


def test_a_detector_that_fails_is_not_cheap(made, monkeypatch):
    """No table comes from it."""
    with pytest.raises(CannotFinishError, match="probe-grid failed"):
        costs_of(made.job(by(failing, monkeypatch)))


def test_a_case_is_counted_once_and_again_after_a_change(made, monkeypatch, tmp_path):
    """The command keeps a line a case, goes on from it, and writes the page between its markers."""
    policy, to, page = by(forwards, monkeypatch), tmp_path / "costs.jsonl", tmp_path / "cost.md"
    page.write_text(f"<!-- {table.MARK} -->\n<!-- /{table.MARK} -->\n")
    counted = []

    def make(_store, _folder):
        counted.append(1)
        return made

    monkeypatch.setattr("benchmarks.scan_cost.__main__.CASES", {"one": make})
    monkeypatch.setattr("benchmarks.scan_cost.__main__.read_policy", lambda _path, on: policy)
    monkeypatch.setattr(table, "PAGE", page)
    command = ["--cases", "one", "--to", str(to), "--write", "--cache", str(tmp_path)]
    for _ in range(2):
        assert CliRunner().invoke(scan_cost, command, catch_exceptions=False).exit_code == 0
    assert len(counted) == 1
    assert f"| probe-grid | {FORWARDS * BATCH} | {FORWARDS * BATCH // 2} |" in page.read_text()
    policy = policy.model_copy(update={"seed": 1})
    assert CliRunner().invoke(scan_cost, command, catch_exceptions=False).exit_code == 0
    assert len(counted) == 2
    assert CliRunner().invoke(scan_cost, ["--cases", "none"]).exit_code == 2


def test_what_took_nothing_is_named_apart():
    """A detector that is skipped stands under the table with its reason, and not as a row of zeros."""
    took = Spent(name="one", passes=4, operations=20)
    idle = [Spent(name=name, passes=0, operations=0, skipped="no set.") for name in ("two", "three")]
    still = Spent(name="four", passes=0, operations=0)
    costs = Costs(classes=3, references=0, unit=Unit(forward=4, gradient=6), spent=(took, *idle, still, took))
    row = table.Row(case="case", what="net", policy="sha256:0", sources="", commit="", seed=0, costs=costs)
    said = table.details(row)
    assert "| one | 4 | 2 | 50% |" in said
    assert "| all | 8 | 4 | 100% |" in said
    assert "No operation: four." in said
    assert "Skipped: two, three (no set)." in said
    assert "| case (net) | 3 | 0 | 0.40 | 8 | 4 |" in table.summary([row])
