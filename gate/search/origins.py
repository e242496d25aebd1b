"""Triggers as later stages get them: each knows on which samples it was found, how small it is, and how to look again.

Between the search and the stages over suspects. A second search for one place has the settings of the first: a size
says something only beside sizes that took the same steps.
"""

from dataclasses import dataclass
from typing import Protocol

import torch

from gate.records.evidence import Location
from gate.records.run import Run
from gate.search.goals import Goal
from gate.search.inversion import Inversion, Settings, invert
from gate.search.objective import Family
from gate.search.options import TriggerSearch
from gate.search.penalty import Parameters
from gate.search.rungs import Rung
from gate.spaces.subject import Classifier, Origin, Samples, Trigger
from gate.statistics.subsets import chosen


class ShownFamily(Family, Protocol):
    """A family that can also say what its triggers are made of."""

    def tensors(self, parameters: Parameters) -> dict[str, torch.Tensor]:
        """Return the triggers' parts by name, each (count, ...)."""
        ...


@dataclass(frozen=True)
class Kind:
    """A family, and what the report calls one of its triggers, such as `patch` or `warp`."""

    family: ShownFamily
    noun: str


@dataclass(frozen=True)
class Origins:
    """One search's model, family, samples and options."""

    classifier: Classifier
    kind: Kind
    samples: Samples
    """All clean samples of the scan."""
    rows: torch.Tensor
    """Which of them the search was given, (M,)."""
    options: TriggerSearch

    def triggers(self, found: Inversion) -> list[Trigger]:
        """Return every trigger of an inversion for later stages."""
        return [self._trigger(found, row) for row in range(len(found.goals))]

    def again(self, places: tuple[Location, ...], rows: torch.Tensor, run: Run) -> tuple[Trigger, ...]:
        """Search for triggers at some classes, or at some pairs, on the samples at these indices."""
        goals = tuple(_goal(place) for place in places)
        samples, options = chosen(self.samples, rows), self.options
        settings = pair_settings(options) if goals[0].source is not None else single_settings(options)
        found = invert(self.classifier, self.kind.family, samples, goals, settings, run)
        return tuple(Origins(self.classifier, self.kind, self.samples, rows, options).triggers(found))

    def _trigger(self, found: Inversion, row: int) -> Trigger:
        family = self.kind.family
        own = found.trigger(row)
        return Trigger(
            found.goals[row].location,
            float(found.success[row]),
            lambda x: family.apply(own, x.unsqueeze(0)).squeeze(0),
            {name: tensor[0] for name, tensor in family.tensors(own).items()},
            Origin(
                noun=self.kind.noun,
                size=float(found.sizes[row]),
                largest=family.largest,
                settings=self.options.content_sha256,
                rows=self.rows,
                again=self.again,
            ),
        )


def _goal(place: Location) -> Goal:
    assert place.class_index is not None
    return Goal(place.class_index, place.source_index)


def pair_settings(options: TriggerSearch) -> Settings:
    """Return the engine's settings for a search over pairs."""
    return _settings(options, options.pair_steps, options.pair_batch)


def single_settings(options: TriggerSearch) -> Settings:
    """Return the engine's settings for a search over classes that are all searched to the end."""
    return _settings(options, options.steps, options.batch)


def _settings(options: TriggerSearch, steps: int, batch: int) -> Settings:
    return Settings(
        rungs=(Rung(steps),),
        batch=batch,
        success_target=options.success_target,
        settled_after=options.settled_after,
        hopeless_after=options.hopeless_after,
    )
