"""Searches for triggers on a model under repair: of which family, and towards which classes or pairs.

Between the search engine and both `measuring`, which asks what a repair left, and the methods that look again while
they train. The options are those of the family's detector, so that sizes say the same as in a scan.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch

from gate.detectors.additive_trigger import AdditiveTrigger
from gate.detectors.neural_cleanse import NeuralCleanse
from gate.detectors.tone_trigger import ToneTrigger
from gate.detectors.warp_trigger import WarpTrigger
from gate.records.evidence import Location
from gate.records.run import Run
from gate.search.goals import Goal
from gate.search.inversion import invert
from gate.search.options import TriggerSearch
from gate.search.origins import Kind, Origins, single_settings
from gate.spaces.image.triggers.additive import AdditiveFamily
from gate.spaces.image.triggers.patch import PatchFamily
from gate.spaces.image.triggers.tone import ToneFamily
from gate.spaces.image.triggers.warp import WarpFamily
from gate.spaces.subject import Classifier, Samples, Trigger


@dataclass(frozen=True)
class Search:
    """How triggers of one family are searched for."""

    detector: str
    """Whose family and options it is."""
    kind: Kind
    options: TriggerSearch


def search_of(trigger: Trigger | None, classifier: Classifier) -> Search:
    """Return the search for triggers of the same family, told by what a trigger is made of; patches without one."""
    shape, bounds = classifier.input_shape, classifier.bounds
    names = set(trigger.tensors) if trigger is not None else set()
    if "addition" in names:
        additive = AdditiveTrigger()
        return Search("additive-trigger", Kind(AdditiveFamily(shape, bounds, additive.limit), "addition"), additive)
    if "field" in names:
        warp = WarpTrigger()
        return Search("warp-trigger", Kind(WarpFamily(shape, warp.grid, warp.limit), "warp"), warp)
    if "curves" in names:
        tone = ToneTrigger()
        return Search("tone-trigger", Kind(ToneFamily(shape, bounds, tone.knots, tone.limit), "tone curve"), tone)
    return Search("neural-cleanse", Kind(PatchFamily(shape, bounds), "patch"), NeuralCleanse())


def by_source(places: Collection[Location]) -> Iterator[tuple[int | None, list[Location]]]:
    """Yield the places of each source, those of all sources first: one search is for one source."""
    sources = {place.source_index for place in places}
    for source in sorted(sources, key=lambda index: -1 if index is None else index):
        yield source, [place for place in places if place.source_index == source]


def triggers_by_size(
    classifier: Classifier, search: Search, samples: Samples, goals: Sequence[Goal], run: Run
) -> list[tuple[Trigger, float]]:
    """Invert a trigger for each goal, all of one source, and return them with their sizes, in the goals' order."""
    settings = single_settings(search.options)
    found = invert(classifier, search.kind.family, samples, tuple(goals), settings, run.quiet())
    rows = torch.arange(len(samples.inputs))
    inverted = Origins(classifier, search.kind, samples, rows, search.options).triggers(found)
    return list(zip(inverted, found.sizes.tolist(), strict=True))
