"""Copies for the benchmark of self-made references: trained on the candidate's answers, and compared with it."""

import random

import pytest
import torch
from exported_families import export, make, samples

from benchmarks.self_references.comparing import compared
from benchmarks.self_references.copies import Training, augmented, train
from gate.programs import read_program
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Samples
from gate.worker.loading.program_classifier import ProgramClassifier


def test_a_copy_learns_the_candidates_answers_and_depends_on_its_seed(tmp_path):
    """Some steps bring its answers near the candidate's, the same seed gives the same copy, another another."""
    model, shape = make("lenet")
    inputs = samples(shape, 64).sigmoid()
    program = read_program(export(model, shape, tmp_path / "model.pt2"))
    candidate = ProgramClassifier.of(program, inputs[:4], Preprocessing(), (0.0, 1.0))
    clean = Samples(inputs, None, "made up")
    first, again, other = (train(candidate, clean, seed, Training(steps=15, batch=16)) for seed in (1, 1, 2))
    with torch.no_grad():
        one, two, three = (copy.classifier.logits(inputs) for copy in (first, again, other))
    torch.testing.assert_close(one, two)
    assert not torch.allclose(one, three)
    assert first.loss < 0.02
    assert 0 <= first.agreement <= 1
    assert first.passes == 15 * 16 * 4


def test_augmented_images_stay_within_bounds_and_keep_their_shape():
    """They are moved and noisy, and no pixel leaves the range."""
    inputs = torch.rand(6, 1, 8, 8)
    found = augmented(inputs, (0.0, 1.0), Training(), torch.Generator().manual_seed(0))
    assert found.shape == inputs.shape
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert not torch.equal(found, inputs)


def row(model, copy, planted=None):
    """Return a row of the benchmark's file."""
    draw = random.Random(copy)
    sizes = {f"class {k}": 10.0 * (1 + k) * draw.lognormvariate(0, 0.1) for k in range(10)}
    if planted is not None:
        sizes[f"class {planted}"] /= 50
    values = {"neural-cleanse": {"size": sizes}}
    return {"model": model, "copy": copy, "agreement": 0.9, "seconds": {"a": 2.0}, "passes": {"a": 5}, "values": values}


def test_a_candidate_is_compared_with_its_own_copies_and_only_with_enough_of_them():
    """The planted class drives p and has the small ratio; a model with two copies is left out."""
    rows = [row("m", number, planted=4 if number == -1 else None) for number in (-1, 0, 1, 2)]
    rows += [row("n", number) for number in (-1, 0, 1)]
    (found,) = compared(rows)
    assert (found.model, found.seconds, found.passes) == ("m", 6.0, 15)
    assert found.p_value < 0.05
    assert found.driver == "neural-cleanse size, relative at class 4"
    ratios = found.ratios["neural-cleanse"]
    assert ratios["class 4"] == pytest.approx(0.02, rel=0.5)
    assert min(ratios, key=ratios.get) == "class 4"
