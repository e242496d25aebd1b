"""The search for ways out: the smallest trigger by which samples leave their own class for any other.

A backdoor that sends every class to a target of its own (all-to-all) makes no target easy to reach, but one small
trigger moves the samples of all classes, which in a clean model is harder than reaching the easiest class. A backdoor
for one source class makes that class alone easy to leave. The search takes one goal a class, pairs take their square.
"""

import statistics
from collections.abc import Iterator
from dataclasses import replace

import torch

from gate.records.evidence import Location, Measurement, Unmeasured
from gate.records.passes import Passes, Span
from gate.records.run import Run
from gate.search.families import FamilySearch, pair_settings, single_settings
from gate.search.goals import LeaveGoal, predictions
from gate.search.inversion import invert
from gate.search.options import LEAST_SOURCES
from gate.search.pairs import LEAST_SAMPLES, movable_classes
from gate.search.passes import inversion_passes
from gate.spaces.contract import Parameters


def search_untargeted(search: FamilySearch, smallest: float, run: Run) -> Iterator[Measurement]:
    """Yield the size of the smallest trigger that moves samples of every class, alone and over the smallest class's."""
    goals = (LeaveGoal(),) * search.options.untargeted_starts
    found = search.invert(goals, single_settings(search.options), run)
    best, size = int(found.sizes.argmin()), float(found.sizes.min())
    note = f"moves {float(found.success[best]):.0%} of all samples out of their class"
    yield Measurement(metric="untargeted-size", value=size, note=note)
    yield Measurement(metric="untargeted-ratio", value=size / smallest if smallest else 1.0)


def search_exits(search: FamilySearch, run: Run) -> Iterator[Measurement | Unmeasured]:
    """Yield the size of the smallest trigger out of each class with samples, and where the easiest one leads.

    A sample belongs to the class that the model gives it: shirts that a clean model takes for pullovers would have left
    their label without a trigger, and shirts would look as easy to leave as a class with a backdoor.
    """
    given = search.given
    labels = predictions(search.classifier, given.inputs, run)
    sources = movable_classes(labels)[: search.options.exits_most]
    if len(sources) < LEAST_SOURCES:
        needed = f"at least {LEAST_SOURCES} classes with {LEAST_SAMPLES} clean samples each are compared"
        yield Unmeasured(metric="exit-ratio", reason=f"{needed}, and there were {len(sources)}")
        return
    goals, settings = tuple(map(LeaveGoal, sources)), pair_settings(search.options)
    found = invert(search.classifier, search.triggers, replace(given, labels=labels), goals, settings, run)
    sizes = found.sizes.tolist()
    for goal, size in zip(goals, sizes, strict=True):
        yield Measurement(metric="exit-size", value=size, location=goal.location)
    row = min(range(len(sizes)), key=sizes.__getitem__)
    if found.success[row] < settings.success_least:
        reason = "no trigger moves the samples of any class, so that none is easier to leave than another"
        yield Unmeasured(metric="exit-ratio", reason=reason)
        return
    source, median = sources[row], statistics.median(sizes)
    reached, share = _where_to(search, given.inputs[labels == source], found.trigger(row), source)
    note = f"{share:.0%} of the samples that leave class {source} go to class {reached}"
    place = Location.of_pair(source, reached)
    yield Measurement(metric="exit-ratio", value=sizes[row] / median if median else 1.0, location=place, note=note)


def exits_passes(search: FamilySearch) -> Passes:
    """Return the passes that `search_exits` would make."""
    samples = len(search.rows)
    sources = min(search.classifier.num_classes, search.options.exits_most, samples // LEAST_SAMPLES)
    # All sources' samples together are the samples; the labels are the model's own, which it is asked for first.
    found = inversion_passes(pair_settings(search.options), sources, Span.up_to(samples)).perhaps
    return Passes(Span(samples, 2 * samples)) + found


def _where_to(search: FamilySearch, inputs: torch.Tensor, trigger: Parameters, source: int) -> tuple[int, float]:
    """Return the class that most samples leaving a source go to under its trigger, and their share."""
    with torch.no_grad():
        first = search.classifier.logits(search.triggers.apply(trigger, inputs.unsqueeze(0)).squeeze(0)).argmax(dim=1)
    left = torch.bincount(first, minlength=search.classifier.num_classes)
    left[source] = 0
    return int(left.argmax()), float(left.max() / left.sum().clamp_min(1))
