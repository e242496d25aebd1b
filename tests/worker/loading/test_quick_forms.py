"""A large net's searches and probes run in quicker forms; its own answers, and what is said of both."""

import numpy as np
import pytest
import torch
from test_number_types import PICTURES, net, program

from gate.check.evidence import ScanSettings
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.artifact import Artifact, ModelRef, build_manifest, file_sha256
from gate.records.clock import today
from gate.records.job import ScanJob
from gate.spaces.image.preprocessing import Preprocessing
from gate.worker.loading.program_classifier import ProgramClassifier
from gate.worker.loading.subject import load_subject

BOUNDS = (0.0, 1.0)


@pytest.fixture
def classifier(tmp_path):
    """Return a classifier with preprocessing of its own outside the graph."""
    preprocessing = Preprocessing.of((0.4, 0.5, 0.6), (0.2, 0.3, 0.2), "cpu")
    return ProgramClassifier.of(program(net(), PICTURES, tmp_path / "model.pt2"), PICTURES[:4], preprocessing, BOUNDS)


def test_a_small_net_has_no_other_form(classifier):
    """Its quick answers are its own, and nothing is said."""
    classifier.choose_forms(PICTURES)
    assert classifier.arithmetic == ""
    assert torch.equal(classifier.quick_logits(PICTURES), classifier.logits(PICTURES))


@pytest.mark.usefixtures("large")
def test_a_large_net_is_searched_in_its_quickest_form_and_answers_by_itself(classifier):
    """Near, not equal: what is judged comes from `logits`, to the bit as before."""
    before = classifier.logits(PICTURES)
    classifier.choose_forms(PICTURES)
    quick = classifier.quick_logits(PICTURES)
    assert classifier.arithmetic.count("bfloat16, channels last (4.0 times as quick as read)") == 2
    assert torch.equal(classifier.logits(PICTURES), before)
    assert not torch.equal(quick, before)
    assert float((quick - before).abs().max()) < 0.05 * float(before.max() - before.min())


@pytest.mark.usefixtures("large")
def test_quick_passes_are_counted_and_give_gradients_to_the_pixels(classifier):
    """They cost as others do, and a search goes the same way by them."""
    classifier.choose_forms(PICTURES)
    counted = classifier.sample_passes
    assert classifier.gradient_passes == 0
    found = []
    for logits in (classifier.quick_logits, classifier.logits):
        x = PICTURES.clone().requires_grad_()
        found.append(torch.autograd.grad(logits(x)[:, 1].sum(), x)[0])
    assert classifier.sample_passes == counted + 2 * len(PICTURES)
    assert classifier.gradient_passes == 2 * len(PICTURES)
    classifier.logits(PICTURES.clone().requires_grad_())  # asked for no gradient: forward alone
    kept = PICTURES.clone().requires_grad_()
    for _ in range(3):
        torch.autograd.grad(classifier.logits(kept).sum(), kept)
    assert classifier.gradient_passes == 5 * len(PICTURES)
    assert float(torch.cosine_similarity(*(one.flatten() for one in found), dim=0)) > 0.9


@pytest.mark.usefixtures("large")
def test_a_program_of_half_precision_keeps_its_own_form(tmp_path):
    """It has a copy in float32 that lends it gradients."""
    half = program(net().half(), PICTURES.half(), tmp_path / "model.pt2", free=False)
    classifier = ProgramClassifier.of(half, PICTURES[:4], Preprocessing(), BOUNDS)
    classifier.choose_forms(PICTURES)
    assert classifier.arithmetic == ""


def test_the_operator_may_ask_for_the_model_as_read():
    """The setting goes to the worker, and automatic is the default."""
    policy = read_policy(DEFAULT, on=today())
    assert ScanSettings().limits(policy)["arithmetic"] == "auto"
    assert ScanSettings(arithmetic="as-read").limits(policy)["arithmetic"] == "as-read"


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(("arithmetic", "said"), [("auto", True), ("as-read", False)])
def test_the_facts_say_how_searches_ran(arithmetic, said, tmp_path):
    """Read by the scan worker's own way from files to facts."""
    root = tmp_path / "candidate"
    (root / "data").mkdir(parents=True)
    (root / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n")
    program(net(), PICTURES, root / "data" / "model.pt2")
    samples = tmp_path / "samples.npz"
    pictures = np.random.default_rng(0).random((100, 3, 8, 8), dtype=np.float32)
    np.savez(samples, inputs=pictures, labels=np.arange(100) % 5)
    ref, manifest = ModelRef(registry="directory", name="net", version=None), build_manifest(root)[0]
    policy = read_policy(DEFAULT, on=today())
    job = ScanJob(
        role="scan", model=ref, manifest=manifest, root=str(root), policy=policy, seed=0, device="cpu",
        arithmetic=arithmetic, deadline_seconds=600, samples_path=str(samples), samples_sha256=file_sha256(samples),
    )  # fmt: skip
    loaded = load_subject(Artifact(ref, root, manifest), job, policy.samples.of("net"), "cpu")
    assert bool(loaded.facts.arithmetic) is said


@pytest.mark.usefixtures("large")
def test_a_large_nets_own_answers_come_in_passes_that_the_caches_hold(classifier, monkeypatch):
    """The same answers, gradients and activations, in order."""
    many = PICTURES.repeat(5, 1, 1, 1)[:19].clone().requires_grad_()
    wanted, features = classifier.activations(many)
    slopes = torch.autograd.grad(wanted[:, 1].sum(), many)[0]
    classifier.choose_forms(PICTURES)
    sizes, run = [], type(classifier.body).run
    monkeypatch.setattr(
        type(classifier.body), "run", lambda self, *x, **k: sizes.append(len(x[0])) or run(self, *x, **k)
    )
    logits, activations = classifier.activations(many)
    assert sizes == [16, 3]
    torch.testing.assert_close(logits, wanted)
    torch.testing.assert_close(activations, features)
    torch.testing.assert_close(torch.autograd.grad(logits[:, 1].sum(), many)[0], slopes)
