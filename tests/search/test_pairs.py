"""The search by pairs finds a backdoor for one source class, and a permutation of all classes."""

import math
from pathlib import Path

import pytest
import torch

from gate import detectors
from gate.records.artifact import Artifact, Manifest, ModelRef
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement
from gate.records.run import Run
from gate.search.families import FamilySearch
from gate.search.goals import PairGoal, every_pair
from gate.search.options import TriggerSearch
from gate.search.pairs import best_permutation, chosen_pairs, polish, search_pairs, unexplained
from gate.spaces.image.triggers.patch import FAMILY
from gate.spaces.subject import Samples, Subject
from tests.search.bright_rows import CLASSES, classifier, samples

OPTIONS = TriggerSearch(pairs="all", pair_steps=60, pair_batch=6)


def found(moves):
    """Return the measurements of the search by pairs, by metric and location."""
    every = samples()
    search = FamilySearch(classifier(moves), FAMILY, OPTIONS, every, torch.arange(len(every.inputs)))
    yielded = search_pairs(search, Run(seed=0))
    return {(m.metric, str(m.location) if m.location else ""): m.value for m in yielded}


def smallest(numbers, metric):
    """Return the location with the least value of a metric."""
    return min((place for name, place in numbers if name == metric), key=lambda place: numbers[metric, place])


@pytest.fixture(scope="module")
def clean():
    """Return what is found where nothing is planted."""
    return found([])


def test_a_backdoor_for_one_source_class_is_the_pair_that_stands_out(clean):
    """Size, residual and asymmetry all name the planted pair, and a clean net has none like it."""
    numbers = found([(3, 1)])
    for metric in ("size", "pair-residual", "pair-asymmetry"):
        assert smallest(numbers, metric) == "pair 3→1"
    least = min(value for (metric, _), value in clean.items() if metric == "pair-residual")
    assert numbers["pair-residual", "pair 3→1"] < least - 0.3
    assert numbers["attack-success-rate", "pair 3→1"] > 0.8


def test_a_permutation_of_all_classes_stands_out_as_one(clean):
    """Where every class goes to the next, the best assignment of targets is far better than a clean net's."""
    numbers = found([(source, (source + 1) % CLASSES) for source in range(CLASSES)])
    assert numbers["permutation", ""] < clean["permutation", ""] - 0.3


def test_row_and_column_effects_explain_themselves():
    """Sources that are easy to move and targets that are easy to reach leave nothing unexplained."""
    sizes = {goal: 0.3 * goal.source - 0.2 * goal.target for goal in every_pair(range(6))}
    _, residuals = polish(sizes)
    assert abs(residuals[~torch.eye(6, dtype=torch.bool).numpy()]).max() < 0.05
    sizes[PairGoal(4, 2)] -= 2.0
    numbers = {(m.metric, str(m.location)): m.value for m in unexplained(sizes, tuple(sizes))}
    assert numbers["pair-residual", "pair 2→4"] == pytest.approx(-2.0, abs=0.3)
    assert numbers["pair-asymmetry", "pair 2→4"] == pytest.approx(-2.0, abs=0.3)
    assert best_permutation(polish(sizes)[1]) < -0.2


def test_many_classes_are_screened_and_the_rest_is_drawn():
    """Where all pairs are too many, half are the nearest by the model's scores and half are random, by the seed."""
    options = TriggerSearch(pairs="screened", pairs_most=8)
    goals = chosen_pairs(classifier([]), samples(), options, Run(seed=0))
    assert len(set(goals)) == 8
    assert goals == chosen_pairs(classifier([]), samples(), options, Run(seed=0))
    assert goals != chosen_pairs(classifier([]), samples(), options, Run(seed=1))
    assert set(chosen_pairs(classifier([]), samples(), OPTIONS, Run(seed=0))) == set(every_pair(range(CLASSES)))


def test_too_few_classes_with_samples_are_a_clear_skip():
    """With samples of three classes nothing can be said of what is usual among pairs."""
    every = samples()
    few = every.labels < 3
    with pytest.raises(UnexaminableError, match="pairs need 4 classes with at least 4 samples each; got 3"):
        chosen_pairs(classifier([]), Samples(every.inputs[few], every.labels[few], "s"), OPTIONS, Run(seed=0))


def test_every_number_is_finite(clean):
    """Nothing that was not found becomes infinite."""
    assert all(math.isfinite(value) for value in clean.values())
    assert Location.of_pair(3, 1).class_index == 1
    assert Location.of_pair(3, 1).source_index == 3
    assert Location.of_class(3).source_index is None


@pytest.mark.parametrize("name", [one.id for one in detectors.by_inversion()])
def test_every_family_takes_pairs_and_declares_what_it_yields(name):
    """With `pairs` each detector of the kind measures classes and pairs, by metrics that it declares."""
    detector = detectors.load(name)
    artifact = Artifact(ModelRef(registry="directory", name="rows"), Path(), Manifest(files=()))
    subject = Subject(artifact=artifact, classifier=classifier([]), samples=samples())
    options = detector.options(steps=3, batch=4, pairs="all", pair_steps=3, pair_batch=2, pictured=0)
    yielded = [item for item in detector.measure(subject, options, Run(seed=0)) if isinstance(item, Measurement)]
    assert {item.metric for item in yielded} <= {metric.id for metric in detector.metrics}
    kinds = {item.location.kind for item in yielded if item.metric == "size"}
    assert kinds == {"class", "pair"}
