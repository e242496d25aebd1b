"""The search for ways out: the smallest trigger by which samples leave their own class, wherever they go.

Beside the search by class. A backdoor that sends every class to a target of its own (all-to-all) makes no class small:
but one small trigger moves the samples of all classes, where by nature leaving from everywhere at once needs a larger
trigger than reaching the easiest class does. A backdoor for one source class makes that class alone easy to leave. Both
cost as many searches as there are classes, where the search by pairs costs their square.
"""

import statistics
from collections.abc import Iterator
from dataclasses import replace

import torch

from gate.records.evidence import Location, Measurement, Unmeasured
from gate.records.run import Run
from gate.search.families import pair_settings, single_settings
from gate.search.goals import LeaveGoal, predictions
from gate.search.inversion import invert
from gate.search.options import LEAST_SOURCES, TriggerSearch
from gate.search.pairs import LEAST_SAMPLES, movable_classes
from gate.spaces.contract import Parameters, Triggers
from gate.spaces.subject import Classifier, Samples


def search_untargeted(
    classifier: Classifier, triggers: Triggers, samples: Samples, options: TriggerSearch, smallest: float, run: Run
) -> Iterator[Measurement]:
    """Yield the size of the smallest trigger that moves samples of every class, alone and over the smallest class's."""
    goals = (LeaveGoal(),) * options.untargeted_starts
    found = invert(classifier, triggers, samples, goals, single_settings(options), run)
    best = int(found.sizes.argmin())
    size = float(found.sizes[best])
    note = f"moves {float(found.success[best]):.0%} of all samples out of their class"
    yield Measurement(metric="untargeted-size", value=size, note=note)
    yield Measurement(metric="untargeted-ratio", value=size / smallest if smallest else 1.0)


def search_exits(
    classifier: Classifier, triggers: Triggers, samples: Samples, options: TriggerSearch, run: Run
) -> Iterator[Measurement | Unmeasured]:
    """Yield of each class with samples how small a trigger moves it away, and of the easiest one where it goes.

    A sample is of the class that the model gives it: of the shirts that a clean model calls pullovers, some would have
    left their label without a trigger, and shirts would seem as easy to leave as a class with a backdoor.
    """
    labels = predictions(classifier, samples.inputs, run)
    samples = replace(samples, labels=labels)
    sources = movable_classes(labels)[: options.exits_most]
    if len(sources) < LEAST_SOURCES:
        yield Unmeasured(
            metric="exit-ratio",
            reason=f"at least {LEAST_SOURCES} classes with {LEAST_SAMPLES} clean samples each are compared, and there "
            f"were {len(sources)}",
        )
        return
    goals = tuple(LeaveGoal(source) for source in sources)
    settings = pair_settings(options)
    found = invert(classifier, triggers, samples, goals, settings, run)
    sizes = found.sizes.tolist()
    for goal, size in zip(goals, sizes, strict=True):
        yield Measurement(metric="exit-size", value=size, location=goal.location)
    row = min(range(len(sizes)), key=sizes.__getitem__)
    if found.success[row] < settings.success_least:
        reason = "no trigger moves the samples of any class, so that none is easier to leave than another"
        yield Unmeasured(metric="exit-ratio", reason=reason)
        return
    reached, share = _where_to(
        classifier, triggers, samples.inputs[labels == sources[row]], found.trigger(row), sources[row]
    )
    median = statistics.median(sizes)
    note = f"{share:.0%} of the samples that leave class {sources[row]} go to class {reached}"
    place = Location.of_pair(sources[row], reached)
    yield Measurement(metric="exit-ratio", value=sizes[row] / median if median else 1.0, location=place, note=note)


def _where_to(
    classifier: Classifier, triggers: Triggers, inputs: torch.Tensor, trigger: Parameters, source: int
) -> tuple[int, float]:
    """Return the class that most samples of a source go to under its trigger, and their share of those that leave."""
    with torch.no_grad():
        first = classifier.logits(triggers.apply(trigger, inputs.unsqueeze(0)).squeeze(0)).argmax(dim=1)
    left = torch.bincount(first, minlength=classifier.num_classes)
    left[source] = 0
    return int(left.argmax()), float(left.max() / left.sum().clamp_min(1))
