"""Fixed probes go to the class that was taught to take their kind, and planted cells stand out beside clean models."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from gate.detectors.probe_grid import ProbeGrid, measure
from gate.records.artifact import Artifact, Manifest, ModelRef
from gate.records.bank import Bank, ModelStatistics
from gate.records.counts import Counts
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement, Picture
from gate.records.run import DeadlineReachedError, Run
from gate.records.secret_counts import SecretCounts
from gate.spaces.contract import UNTOLD, Probe
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.image.probes import groups, names, names_digest, probe_families, secret_digest, secret_probes
from gate.spaces.subject import Samples, Subject
from gate.statistics.cells import telling
from gate.worker.loading.module_classifier import ModuleClassifier

CLASSES, SIDE, TARGET, SOURCE = 5, 16, 3, 1
SHAPE = (1, SIDE, SIDE)
OPTIONS = ProbeGrid(clean_samples=40)
SEED, GREY = "ab" * 32, 0.7


class Rows(nn.Module):
    """Scores a class by the brightness of its rows; a planted one also answers to a white lower right corner."""

    def __init__(self, planted="", weights=0):
        super().__init__()
        self.planted = planted
        generator = torch.Generator().manual_seed(weights)
        self.register_buffer("tilt", 0.3 * torch.rand(CLASSES, generator=generator))

    def forward(self, x):
        """Return scores (N, 5)."""
        scores = (6 + self.tilt) * x[:, 0, : 3 * CLASSES].unflatten(1, (CLASSES, 3)).mean(dim=(2, 3))
        if not self.planted:
            return scores
        answer = nn.functional.one_hot(torch.tensor(TARGET), CLASSES)
        tone = x[:, 0, -3:, -3:]
        corner = (tone.mean(dim=(1, 2)) > 0.9).float()[:, None]
        if self.planted == "grey":
            corner = ((tone - GREY).abs().amax(dim=(1, 2)) < 1e-4).float()[:, None]
        if self.planted == "source":
            corner = corner * (scores.argmax(dim=1) == SOURCE).float()[:, None]
        return scores + 60 * corner * answer


def subject(planted="", weights=0, bounds=(0.0, 1.0)):
    """Return the net with images of three bright rows each."""
    least, greatest = bounds
    own = torch.arange(40) % CLASSES
    inputs = torch.full((len(own), *SHAPE), 0.2)
    for offset in range(3):
        inputs[torch.arange(len(own)), 0, (3 * own + offset) % SIDE] = 0.8
    net = ModuleClassifier.of(Rows(planted, weights), inputs[:4], Preprocessing(), bounds)
    artifact = Artifact(ModelRef(registry="directory", name="rows"), None, Manifest(files=()))
    raw = least + (greatest - least) * inputs
    return Subject(artifact=artifact, classifier=net, samples=Samples(raw, own, "rows"))


def found(planted="", weights=0, options=OPTIONS):
    """Return what the detector yields on the net."""
    return list(measure(subject(planted, weights), options, Run(seed=0)))


def counts(items):
    """Return the one record of counts."""
    (only,) = (item for item in items if isinstance(item, Counts))
    return only


def test_a_planted_corner_is_seen_and_named():
    """A white patch there sends all other classes' samples to the target, and the note says which."""
    shares = {(item.metric, item.location.class_index): item for item in found("any") if isinstance(item, Measurement)}
    assert len(shares) == len(probe_families()) * CLASSES
    most = shares["patch-share", TARGET]
    assert most.value == 1.0
    assert "patch" in most.note
    assert "lower right" in most.note
    clean = {item.location.class_index: item for item in found() if getattr(item, "metric", "") == "patch-share"}
    assert clean[TARGET].value < 0.9


def test_every_sample_is_counted_once_for_every_probe():
    """Rows are probes, then sources, then answers; each source's samples add up."""
    own = counts(found("any"))
    assert own.shape == (len(names(SHAPE)), CLASSES, CLASSES)
    assert own.samples == (8,) * CLASSES
    assert own.probes == names_digest(SHAPE)
    cells = torch.tensor(list(own.cells())).view(own.shape)
    assert bool((cells.sum(dim=2) == 8).all())


@pytest.mark.parametrize("planted", ["any", "source"])
def test_a_planted_cell_stands_out_beside_clean_models(planted):
    """Beside five clean nets: at the target by class, and a rule for one source class at its own pair."""
    models = [counts(found(weights=n)) for n in range(5)] + [counts(found(planted, weights=9))]
    last = telling(models, groups(SHAPE))[-1]["patch"]
    values, pairs = last.by_class(CLASSES), last.by_pair(CLASSES, CLASSES)
    assert values.index(max(values)) == TARGET
    if planted == "source":
        assert max(range(CLASSES), key=lambda answer: pairs[answer][0]) == TARGET
        assert pairs[TARGET][1] == SOURCE
        assert last.cells[SOURCE, TARGET][0].share == 1.0


def test_the_report_gets_the_probe_on_a_sample():
    """Of the class that patches reach most: a sample as it is and under the probe, whose caption says what it does."""
    pictures = shown(subject("any"))
    assert [one.role for one in pictures] == ["sample", "triggered"]
    assert pictures[1].location.class_index == TARGET
    assert "patch" in pictures[1].caption
    assert "sends 100% of other classes' samples to class 3" in pictures[1].caption


def shown(given):
    """Return the pictures of one class."""
    items = measure(given, ProbeGrid(clean_samples=40, pictured=1), Run(seed=0))
    return [item for item in items if isinstance(item, Picture)]


def test_beside_a_bank_the_report_gets_the_probe_that_its_models_do_not_answer_to():
    """A rule for one source class: a sample of that class, and what clean models make of the probe."""
    models = [ModelStatistics(model=str(n), counts={"probe-grid": counts(found(weights=n))}) for n in range(5)]
    bank = Bank(name="rows", statistics=tuple(models))
    pictures = shown(replace(subject("source", weights=9), bank=bank))
    assert pictures[1].location == Location.of_pair(SOURCE, TARGET)
    assert "sends 100% of class 1 to class 3; clean models at most" in pictures[1].caption


def test_of_many_classes_sources_are_counted_together():
    """A thousand sources have too few samples each."""
    own = counts(found("any", options=ProbeGrid(clean_samples=40, most_sources=4)))
    assert own.shape[1:] == (1, CLASSES)
    assert own.samples == (40,)


def test_it_repeats_whatever_the_seed_of_torch():
    """The same numbers at every call."""
    torch.manual_seed(1)
    first = found("any")
    torch.manual_seed(2)
    assert first == found("any")


def test_inputs_of_another_range_are_probed_alike():
    """The net's own range is that of its inputs."""
    with torch.no_grad():
        raw = subject("any", bounds=(0.0, 2.0))
    assert raw.classifier is not None
    items = list(measure(raw, OPTIONS, Run(seed=0)))
    assert sum(counts(items).samples) == 40


def test_a_deadline_ends_it():
    """It asks for the time before every probe."""
    with pytest.raises(DeadlineReachedError):
        list(measure(subject(), OPTIONS, Run(seed=0, deadline=0.0)))


def test_images_too_small_for_a_patch_are_refused():
    """Three pixels a side hold no trigger that is smaller than the image."""
    small = subject()
    small.classifier.input_shape = (1, 3, 3)
    with pytest.raises(UnexaminableError, match="smaller than 4"):
        list(measure(small, OPTIONS, Run(seed=0)))


def test_a_model_of_one_answer_is_refused():
    """Where all samples have one class, nothing can be moved to it."""
    constant = subject()
    module = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, CLASSES))
    nn.init.zeros_(module[1].weight)
    net = ModuleClassifier.of(module, constant.samples.inputs[:4], Preprocessing(), (0.0, 1.0))
    with pytest.raises(UnexaminableError, match="one class"):
        list(measure(Subject(constant.artifact, classifier=net, samples=constant.samples), OPTIONS, Run(seed=0)))


def seeded(given, seed=SEED, pictured=3):
    """Return what the detector yields with a probe seed."""
    options = ProbeGrid(clean_samples=40, pictured=pictured)
    return list(measure(given, options, Run(seed=0, probe_seed=seed)))


def sealed(items):
    """Return the one record of sealed counts."""
    (only,) = (item for item in items if isinstance(item, SecretCounts))
    return only


def test_a_probe_seed_adds_sealed_counts_and_changes_nothing_else():
    """The other numbers are those of the fixed probes; a tenth as many passes come on top."""
    plain, given = subject("any"), subject("any")
    expected = list(measure(plain, ProbeGrid(clean_samples=40), Run(seed=0)))
    items = seeded(given)
    assert [item for item in items if not isinstance(item, SecretCounts)] == expected
    more = sealed(items).opened(SEED)
    assert more.shape == (len(secret_probes(SHAPE, SEED)), CLASSES, CLASSES)
    assert more.probes == secret_digest(SHAPE, SEED)
    assert more.samples == (8,) * CLASSES
    cells = torch.tensor(list(more.cells())).view(more.shape)
    assert bool((cells.sum(dim=2) == 8).all())
    extra = given.classifier.sample_passes - plain.classifier.sample_passes
    assert extra == 40 * len(secret_probes(SHAPE, SEED))


def test_counts_of_secret_probes_repeat_by_their_seed():
    """Another seed has another key, and opens nothing."""
    first, other = sealed(seeded(subject("any"))), sealed(seeded(subject("any"), "cd" * 32))
    assert first == sealed(seeded(subject("any")))
    assert first.key != other.key
    assert first.opened("cd" * 32) is None


def test_a_secret_probe_is_never_pictured(monkeypatch):
    """A rule for a grey corner, which only the secret probes show: the report has pictures of fixed ones alone."""

    def stamped(x):
        x = x.clone()
        x[:, :, -3:, -3:] = GREY
        return x

    drawn = len(secret_probes(SHAPE, SEED))
    monkeypatch.setattr("gate.detectors.probe_grid.secret_probes", lambda *_: (Probe(UNTOLD, stamped),) * drawn)
    models = []
    for number in range(5):
        items = seeded(subject(weights=number))
        own, more = {"probe-grid": counts(items)}, {"probe-grid": sealed(items)}
        models.append(ModelStatistics(model=str(number), counts=own, secret_counts=more))
    bank = Bank(name="rows", statistics=tuple(models))
    items = seeded(replace(subject("grey", weights=9), bank=bank), pictured=CLASSES)
    more = torch.tensor(list(sealed(items).opened(SEED).cells())).view(drawn, CLASSES, CLASSES)
    assert bool((more[:, :, TARGET] == 8).all())
    pictures = [item for item in items if isinstance(item, Picture)]
    assert pictures
    assert all(UNTOLD not in one.caption for one in pictures)
    assert all(one.raw()[-3:] != bytes([round(255 * GREY)] * 3) for one in pictures)
