"""A search with one family of triggers, and its triggers for later stages.

Each trigger carries the samples on which it was found, its size, and how to search again with the same settings: sizes
compare only after equally many steps.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from gate.records.evidence import Location, LocationKind
from gate.records.passes import Passes, Span
from gate.records.run import Run
from gate.search.goals import Goal, goal_at
from gate.search.inversion import Inversion, Settings, invert
from gate.search.options import TriggerSearch
from gate.search.passes import inversion_passes
from gate.search.rungs import Rung
from gate.spaces.contract import TriggerFamily, Triggers
from gate.spaces.subject import Found, ImageClassifier, Samples, Trigger
from gate.statistics.subsets import chosen


@dataclass(frozen=True)
class FamilySearch:
    """One search: model, family, options and samples."""

    classifier: ImageClassifier
    family: TriggerFamily[Any]
    options: TriggerSearch
    samples: Samples
    """All clean samples of the scan."""
    rows: torch.Tensor
    """Indices (M,) of the samples that the search is given."""

    @cached_property
    def triggers(self) -> Triggers:
        """The family's triggers for the model's inputs."""
        return self.family.over(self.classifier.input_shape, self.classifier.bounds, self.options)

    @property
    def given(self) -> Samples:
        """A copy of the samples that the search is given, which no trigger keeps alive."""
        return chosen(self.samples, self.rows)

    def invert(self, goals: tuple[Goal, ...], settings: Settings, run: Run) -> Inversion:
        """Invert one trigger per goal on the samples given."""
        return invert(self.classifier, self.triggers, self.given, goals, settings, run)

    def passes(self, goals: int, settings: Settings, pools: Span) -> Passes:
        """Return the passes of that for so many goals; `pools` is what those searched to the end move, together."""
        unlabelled = Span.exactly(0 if self.samples.labels is not None else len(self.rows))
        return inversion_passes(settings, goals, pools) + Passes(unlabelled)

    def found(self, inversion: Inversion) -> list[Trigger]:
        """Return every trigger of an inversion for later stages."""
        return [self._trigger(inversion, row) for row in range(len(inversion.goals))]

    def again(self, places: tuple[Location, ...], rows: torch.Tensor, run: Run) -> tuple[Trigger, ...]:
        """Search for triggers at some classes, or at some pairs, on the samples at the indices `rows`."""
        search = replace(self, rows=rows)
        return tuple(search.found(search.invert(tuple(map(goal_at, places)), self._settings_at(places[0].kind), run)))

    def passes_again(self, kind: LocationKind, count: int) -> Passes:
        """Return the passes of that at so many places of a kind, on at most the samples that this search is given."""
        return self.passes(count, self._settings_at(kind), Span.up_to(count * len(self.rows)))

    def _settings_at(self, kind: LocationKind) -> Settings:
        return (pair_settings if kind == "pair" else single_settings)(self.options)

    def _trigger(self, inversion: Inversion, row: int) -> Trigger:
        place, tensors = inversion.goals[row].location, self.triggers.tensors(inversion.trigger(row))
        assert place is not None
        own = {name: tensor[0] for name, tensor in tensors.items()}
        size, settings = float(inversion.sizes[row]), self.options.content_sha256
        found = Found(self.family.noun, size, self.triggers.largest, settings, self.rows, self.again, self.passes_again)
        apply = self.family.applying(own, self.classifier.bounds)
        return Trigger(place, float(inversion.success[row]), apply, own, found)


def pair_settings(options: TriggerSearch) -> Settings:
    """Return the engine's settings for a search over pairs."""
    return replace(single_settings(options), rungs=(Rung(options.pair_steps),), batch=options.pair_batch)


def single_settings(options: TriggerSearch) -> Settings:
    """Return the engine's settings for a search over classes that are all searched to the end."""
    return Settings(
        rungs=(Rung(options.steps),),
        batch=options.batch,
        success_target=options.success_target,
        settled_after=options.settled_after,
        hopeless_after=options.hopeless_after,
    )
