"""Searches for triggers on a model under repair, with the options of the family's detector, so sizes mean the same."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch

from gate import detectors
from gate.detectors.contract import Detector
from gate.records.evidence import Location
from gate.records.run import Run
from gate.search.families import FamilySearch, single_settings
from gate.search.goals import Goal
from gate.spaces.subject import ImageClassifier, Samples, Trigger


def detector_of(trigger: Trigger | None, classifier: ImageClassifier) -> Detector[Any]:
    """Return the detector of a trigger's family, identified by its tensors; else that of the most specific family."""
    names, known = set(trigger.tensors) if trigger is not None else set(), detectors.by_inversion()
    shape = classifier.input_shape
    return next((one for one in known if one.family and names == set(one.family.parts(shape))), known[0])


def search_of(trigger: Trigger | None, classifier: ImageClassifier, samples: Samples) -> FamilySearch:
    """Return the search for triggers of the same family, with its detector's options, on all samples."""
    detector, rows = detector_of(trigger, classifier), torch.arange(len(samples.inputs))
    assert detector.family is not None
    return FamilySearch(classifier, detector.family, detector.options(), samples, rows)


def by_source(places: Collection[Location]) -> Iterator[tuple[int | None, list[Location]]]:
    """Yield the places of each source, those from every source first: one search is for one source."""
    sources = {place.source_index for place in places}
    for source in sorted(sources, key=lambda index: -1 if index is None else index):
        yield source, [place for place in places if place.source_index == source]


def triggers_by_size(search: FamilySearch, goals: Sequence[Goal], run: Run) -> list[tuple[Trigger, float]]:
    """Invert a trigger for each goal and return them with their sizes, in the goals' order."""
    inversion = search.invert(tuple(goals), single_settings(search.options), run.quiet())
    return list(zip(search.found(inversion), inversion.sizes.tolist(), strict=True))
