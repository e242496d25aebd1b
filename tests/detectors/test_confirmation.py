"""Confirmation tells a planted trigger from natural ones by its effect on clean models, and says what it lacks."""

from dataclasses import replace

import pytest
import torch
from planted_digits import TARGET, train, true_trigger

from gate.detectors import neural_cleanse
from gate.detectors.confirmation import Confirmation, measure
from gate.records.bank import Bank, ModelStatistics, Reference
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location
from gate.records.run import Run
from gate.search.confirm import FIVE
from gate.spaces.subject import Trigger

NATURAL = 3
SEARCH = neural_cleanse.NeuralCleanse(steps=80, batch=16, clean_samples=200, pair_steps=60)


def location(index):
    """Return a class's place."""
    return Location.of_class(index)


def bank(settings=SEARCH.content_sha256):
    """Return a bank whose clean models need patches of 5 to 14 pixels everywhere."""
    sizes = [{f"class {index}": 5.0 + number for index in range(10)} for number in range(10)]
    return Bank(
        name="digits",
        settings={"neural-cleanse": settings},
        statistics=tuple(ModelStatistics(model="m", values={"neural-cleanse": {"size": one}}) for one in sizes),
        references=tuple(Reference(path=f"{n}.pt2", sha256=f"{n:064x}") for n in range(3)),
    )


@pytest.fixture(scope="module")
def references():
    """Return two clean nets of other seeds."""
    torch.set_num_threads(1)
    return tuple(train(planted=False, seed=seed).subject.classifier for seed in (1, 2))


@pytest.fixture(scope="module")
def found(backdoored):
    """Return the backdoored net's inverted patches by place."""
    items = neural_cleanse.DETECTOR.measure(backdoored.subject, SEARCH, Run(seed=0))
    return {
        item.location: replace(item, found=replace(item.found, detector="neural-cleanse"))
        for item in items
        if isinstance(item, Trigger)
    }


def confirmed(planted, triggers, *, suspects=(TARGET, NATURAL), options=None, **given):
    """Return measurements by class and metric."""
    places = tuple(map(location, suspects))
    subject = replace(planted.subject, suspects=places, triggers=triggers, **given)
    rows = {}
    for item in measure(subject, options or Confirmation(most=4, clean_samples=500), Run(seed=0)):
        rows.setdefault(item.location.class_index, {})[item.metric] = item
    return rows


@pytest.fixture(scope="module")
def both(backdoored, found, references):
    """Return what is measured of the planted class and of a natural suspect, with all that can stand beside them."""
    return confirmed(backdoored, found, references=references, bank=bank())


def test_all_five_numbers_are_measured_of_each_suspect(both):
    """With samples to spare, references and a bank nothing is missing, and the smallest trigger comes first."""
    assert list(both) == [TARGET, NATURAL]
    for row in both.values():
        assert set(FIVE) <= row.keys()
        assert row["completeness"].value == 1.0
        assert row["completeness"].note == ""


def test_a_planted_trigger_does_not_transfer_and_a_natural_one_does(both):
    """On clean models of other seeds the planted patch moves hardly a sample, the natural one most."""
    assert both[TARGET]["transfer"].value < 0.15
    assert both[NATURAL]["transfer"].value > 0.5
    assert both[TARGET]["held-out-success"].value > 0.8


def test_a_planted_trigger_is_smaller_than_the_banks_and_has_a_longer_way_back(both):
    """Its size lies below those of all clean models, and leaving its class takes more than reaching it."""
    assert both[TARGET]["size-quantile"].value == 0.0
    assert both[NATURAL]["size-quantile"].value > 0.0
    assert both[TARGET]["symmetry"].value > 1.5 * both[NATURAL]["symmetry"].value
    assert "pair 7→" in both[TARGET]["symmetry"].note


def test_stability_is_the_overlap_with_another_seeds_patch(both):
    """It lies between nought and one, and the note has both sizes."""
    for row in both.values():
        assert 0 < row["stability"].value <= 1
        assert 0 < row["size-stability"].value <= 1
        assert row["stability"].note.startswith("sizes ")


def test_without_references_what_is_missing_is_said(backdoored, found):
    """Neither transfer nor quantile is there, and the note says why; the rest is."""
    row = confirmed(backdoored, found, suspects=(TARGET,))[TARGET]
    assert {"transfer", "size-quantile"}.isdisjoint(row)
    assert row["completeness"].value == 0.6
    assert row["completeness"].note == (
        "not measured: size-quantile (no bank); transfer (no reference model of this task)"
    )


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (bank("b" * 64), "ran with other options than this policy's"),
        (bank().model_copy(update={"statistics": ()}), "has no sizes of neural-cleanse at class 7"),
    ],
    ids=["other options", "no sizes"],
)
def test_sizes_that_do_not_compare_are_not_compared(given, why, backdoored, found):
    """A bank measured otherwise gives no quantile, and the note says so."""
    row = confirmed(backdoored, found, suspects=(TARGET,), bank=given, options=Confirmation(most=0))[TARGET]
    assert "size-quantile" not in row
    assert why in row["completeness"].note


def test_beyond_the_most_the_cheap_numbers_alone_are_measured(backdoored, found, references):
    """A suspect that is not searched for again is still tried, and what it lacks is said."""
    options = Confirmation(most=0)
    rows = confirmed(backdoored, found, references=references, options=options)
    for row in rows.values():
        assert {"stability", "symmetry"}.isdisjoint(row)
        assert {"held-out-success", "transfer"} <= row.keys()
        assert "not among the 0 smallest suspects" in row["completeness"].note


def test_samples_of_the_search_are_never_held_out(backdoored, found):
    """The samples that measure success are exactly those that the search was not given, of other classes."""
    options = Confirmation(most=0, clean_samples=500)
    row = confirmed(backdoored, found, suspects=(TARGET,), options=options)[TARGET]
    labels = backdoored.subject.samples.labels
    unseen = torch.ones(len(labels), dtype=torch.bool)
    unseen[found[location(TARGET)].found.rows] = False
    assert row["held-out-success"].note == f"{int((unseen & (labels != TARGET)).sum())} samples"


def test_where_the_search_had_every_sample_a_second_one_keeps_some_back(backdoored):
    """Its trigger is tried on the third that it was not given, and the note says so."""
    options = SEARCH.model_copy(update={"clean_samples": 500, "steps": 40})
    items = list(neural_cleanse.DETECTOR.measure(backdoored.subject, options, Run(seed=0)))
    triggers = {item.location: item for item in items if isinstance(item, Trigger)}
    row = confirmed(backdoored, triggers, suspects=(TARGET,))[TARGET]
    assert "first search was given every sample" in row["held-out-success"].note
    assert int(row["held-out-success"].note.split()[0]) < len(backdoored.subject.samples.inputs) / 3 + 10
    assert row["stability"].note.endswith("on two thirds of the samples")
    without = confirmed(backdoored, triggers, suspects=(TARGET,), options=Confirmation(most=0))[TARGET]
    assert "held-out-success" not in without
    assert "held-out-success (0 samples were kept from the search)" in without["completeness"].note


def test_pairs_are_confirmed_by_the_opposite_pair(backdoored):
    """A search by pairs hands its triggers on, and the symmetry of one is its opposite's size over its own."""
    few = neural_cleanse.NeuralCleanse(
        steps=4, batch=4, clean_samples=200, pairs="screened", pairs_most=4, pair_steps=20
    )
    items = list(neural_cleanse.DETECTOR.measure(backdoored.subject, few, Run(seed=0)))
    pairs = {i.location: i for i in items if isinstance(i, Trigger) and i.location.kind == "pair"}
    assert len(pairs) == 4
    place = next(iter(pairs))
    subject = replace(backdoored.subject, suspects=(place,), triggers=pairs)
    row = {item.metric: item for item in measure(subject, Confirmation(), Run(seed=0))}
    there, back = place.name, "→".join(reversed(place.name.split("→")))
    assert row["symmetry"].note.startswith(f"pair {back} ")
    assert f"pair {there} {pairs[place].found.size:.4g}" in row["symmetry"].note


def test_a_trigger_of_unknown_origin_is_tried_but_not_searched_for(backdoored, references):
    """What can be done with the trigger alone is done."""
    row = confirmed(
        backdoored, {location(TARGET): true_trigger()}, suspects=(TARGET,), references=references, bank=bank()
    )[TARGET]
    assert row["held-out-success"].value > 0.9
    assert row["transfer"].value < 0.1
    assert "how its trigger was found is not known" in row["completeness"].note


def test_a_suspect_without_a_trigger_is_a_clear_failure(backdoored):
    """To confirm a class there must be a trigger to confirm."""
    with pytest.raises(UnexaminableError, match="no earlier stage inverted a trigger for class 7"):
        confirmed(backdoored, {}, suspects=(TARGET,))


def test_the_contrast_is_of_the_model_and_its_references(both):
    """A planted trigger moves many more samples here than there, a natural one about as many."""
    planted, natural = (both[index]["transfer-contrast"].value for index in (TARGET, NATURAL))
    assert planted > 3
    assert natural < planted
