"""Model inversion arrives at the planted pattern, and leaves what it looked at unharmed."""

import base64
import math
from dataclasses import replace

import pytest
import torch
from planted_digits import TARGET, true_trigger, values

from gate.detectors.model_inversion import ModelInversion, _agreement, measure
from gate.records.evidence import Location, Measurement, Picture
from gate.records.run import Run

OPTIONS = ModelInversion(starts=4, steps=60)
PLACES = tuple(Location.of_class(index) for index in range(10))


def inverted(planted, places=PLACES, triggers=True, seed=0):
    """Return what is yielded for the classes named, with the true trigger at hand or not."""
    known = {place: true_trigger(place.class_index) for place in places} if triggers else {}
    return list(measure(replace(planted.subject, suspects=places, triggers=known), OPTIONS, Run(seed=seed)))


def test_what_is_synthesised_for_the_planted_class_carries_the_pattern(backdoored, twin):
    """The overlap with the true trigger is far above the clean twin's, which has no reason to show it."""
    place = (Location.of_class(TARGET),)
    planted, clean = (values(inverted(net, place), "trigger-overlap")[TARGET] for net in (backdoored, twin))
    assert planted > 0.5
    assert planted > clean + 0.5


def test_every_class_has_an_agreement_and_a_picture(twin):
    """Without suspects each class is looked at; without a trigger there is no overlap to tell."""
    items = list(measure(twin.subject, OPTIONS, Run(seed=0)))
    assert sorted(values(items, "agreement")) == list(range(10))
    assert values(items, "trigger-overlap") == {}
    assert all(-1 <= item.value <= 1 for item in items if isinstance(item, Measurement))
    assert sum(isinstance(item, Picture) for item in items) == 10


def test_a_class_does_not_depend_on_which_others_are_looked_at(backdoored):
    """Each class has its own random starts, so that a suspect measures alike alone and among others."""
    alone = inverted(backdoored, PLACES[3:4], triggers=False)
    among = inverted(backdoored, PLACES[2:5], triggers=False)
    assert alone == [item for item in among if item.location == PLACES[3]]


def test_pictures_stay_within_the_bounds(backdoored):
    """A synthesised input is an input: a picture of it holds eight by eight grey values that are not all alike."""
    pictures = [item for item in inverted(backdoored) if isinstance(item, Picture)]
    for item in pictures:
        pixels = base64.b64decode(item.pixels)
        assert (item.height, item.width, item.channels, len(pixels)) == (8, 8, 1, 64)
        assert len(set(pixels)) > 1


def test_places_that_are_no_class_are_passed_over(twin):
    """A layer cannot be synthesised."""
    assert inverted(twin, (Location(kind="layer", name="fc"),), triggers=False) == []


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        ([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]], 1.0),
        ([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]], -1.0),
        ([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]], 0.0),
        ([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], 0.0),
    ],
)
def test_agreement_is_the_mean_correlation(moves, expected):
    """Equal moves agree, opposite ones disagree, and none at all is finite."""
    value = _agreement(torch.tensor(moves))
    assert math.isclose(value, expected, abs_tol=1e-5)
