"""Measures of an attempt: clean accuracy on samples kept back, and the success of old and fresh triggers on them.

Words are typed into the texts, of which the tokenizer then makes tokens as it does in production: inside a text many a
word has other ids than by itself. Fresh triggers are of the old one's family, or patches where there was none. They are
searched for on the samples that the repair was given, with the detector's options and the attempt's seed. A fresh size
says something only beside other classes' of the same search, so some of these are searched for too.
"""

import math
import statistics
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import torch

from gate.records.evidence import Location
from gate.records.repair import NORMAL_95, RepairMeasures
from gate.records.run import Run
from gate.search.families import FamilySearch
from gate.search.goals import ClassGoal, goal_to
from gate.spaces.subject import Classifier, ImageClassifier, Samples, Trigger
from gate.statistics.sentences import odds_of
from gate.statistics.subsets import chosen
from gate.statistics.witnesses import success_share
from gate.worker.repair.searching import by_source, search_of, triggers_by_size
from gate.worker.repair.tuning import hits

if TYPE_CHECKING:
    from gate.spaces.text.contract import TextClassifier

COMPARED = 10
"""Most classes in one search, suspects included: enough for a median, and affordable."""


@dataclass(frozen=True)
class Fresh:
    """Triggers inverted anew on one model by place, and their sizes over the median class's."""

    triggers: Mapping[Location, Trigger] = field(default_factory=dict)
    ratios: Mapping[Location, float] = field(default_factory=dict)


NONE = Fresh()


def measure(
    classifier: Classifier, held_out: Samples, triggers: Mapping[Location, Trigger], run: Run, fresh: Fresh = NONE
) -> RepairMeasures:
    """Measure a model on labelled samples kept back: accuracy with its interval, and each trigger's success."""
    assert held_out.labels is not None
    right, count = hits(classifier.logits, held_out.inputs, held_out.labels, run), len(held_out.inputs)
    low, high = wilson(right, count)
    return RepairMeasures(
        accuracy=right / count,
        accuracy_low=low,
        accuracy_high=high,
        held_out=count,
        old_success=_successes(classifier, held_out, triggers, run),
        fresh_success=_successes(classifier, held_out, fresh.triggers, run),
        fresh_size_ratio={str(place): ratio for place, ratio in fresh.ratios.items()},
    )


def search_again(
    classifier: ImageClassifier,
    samples: Samples,
    old: Mapping[Location, Trigger],
    places: Collection[Location],
    run: Run,
) -> Fresh:
    """Invert a trigger for every place anew, of its old trigger's family, beside other classes to compare it with."""
    triggers: dict[Location, Trigger] = {}
    ratios: dict[Location, float] = {}
    for search, members in _searches(classifier, samples, old, places):
        for source, own in by_source(members):
            goals = _goals(own, source, classifier.num_classes, run.seed)
            found = triggers_by_size(search, goals, run)
            median = statistics.median(size for _, size in found)
            for trigger, size in found:
                if trigger.location in own:
                    triggers[trigger.location] = trigger
                    ratios[trigger.location] = size / median if median else 1.0
    return Fresh(triggers, ratios)


def movable(labels: torch.Tensor, place: Location) -> torch.Tensor:
    """Return the indices of the samples that a trigger at a class or pair should move, given their labels (N,)."""
    target, source = place.class_index, place.source_index
    if target is None:
        return labels.new_zeros(0)
    meant = labels.ne(target) if source is None else labels.eq(source)
    return meant.nonzero().flatten()


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, count > 0."""
    share, square = hits / count, NORMAL_95**2
    centre = (share + square / (2 * count)) / (1 + square / count)
    reach = NORMAL_95 / (1 + square / count) * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    # At the ends the share may lie beyond by a rounding error.
    return min(share, max(0.0, centre - reach)), max(share, min(1.0, centre + reach))


def _successes(
    classifier: Classifier, samples: Samples, triggers: Mapping[Location, Trigger], run: Run
) -> dict[str, float]:
    """Return by place the share of its samples that a trigger moves; places without samples are left out."""
    assert samples.labels is not None
    found = {}
    for place, trigger in triggers.items():
        rows, target = movable(samples.labels, place), place.class_index
        if len(rows) and target is not None:
            found[str(place)] = _success(classifier, trigger, chosen(samples, rows), target, run)
    return found


def _success(classifier: Classifier, trigger: Trigger, samples: Samples, target: int, run: Run) -> float:
    """Return the share of samples that a trigger, applied to images or typed into texts, sends to the target."""
    if trigger.typed is None:
        return success_share(classifier, trigger, samples.inputs, target, run)
    odds = odds_of(cast("TextClassifier", classifier), [trigger.typed(text) for text in samples.texts], run)
    return float((odds.argmax(dim=1) == target).float().mean())


def _searches(
    classifier: ImageClassifier, samples: Samples, old: Mapping[Location, Trigger], places: Collection[Location]
) -> Iterator[tuple[FamilySearch, list[Location]]]:
    """Yield each family's search with the places that it is for."""
    by_family: dict[str, tuple[FamilySearch, list[Location]]] = {}
    for place in places:
        search = search_of(old.get(place), classifier, samples)
        by_family.setdefault(search.family.id, (search, []))[1].append(place)
    yield from by_family.values()


def _goals(places: list[Location], source: int | None, classes: int, seed: int) -> tuple[ClassGoal, ...]:
    """Return the goals of places that share a source, and random others from it up to `COMPARED`."""
    targets = [place.class_index for place in places if place.class_index is not None]
    generator = torch.Generator().manual_seed(seed)
    others = [int(k) for k in torch.randperm(classes, generator=generator) if int(k) not in {*targets, source}]
    asked = [*targets, *others[: max(0, COMPARED - len(targets))]]
    return tuple(goal_to(target, source) for target in sorted(asked))
