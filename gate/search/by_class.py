"""The search by class: invert one trigger of a family per class, and yield sizes, ratios, indices and pictures.

Sizes are compared only among classes that were searched to the end. Where halving kept the smallest, they are compared
with the random references that stayed too: among themselves the smallest have nothing larger beside them. A stage over
suspects searches for those alone, and for as many other classes, drawn at random, as their sizes are compared with.
"""

import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gate.records.evidence import Location, Measurement, Picture
from gate.records.passes import Passes, Span
from gate.records.run import Run
from gate.search.exits import exits_passes, search_exits, search_untargeted
from gate.search.families import FamilySearch, single_settings
from gate.search.goals import ClassGoal, every_class
from gate.search.inversion import Inversion, Settings
from gate.search.options import LEAST_COMPARED, LEAST_SOURCES, TriggerSearch
from gate.search.pairs import pairs_passes, search_pairs
from gate.search.passes import pools_of_classes
from gate.search.rungs import schedule
from gate.spaces.contract import TriggerFamily
from gate.spaces.image.pictures import picture
from gate.spaces.subject import Samples, Subject, Yield
from gate.statistics.outliers import low_side_anomaly_indices
from gate.statistics.subsets import balanced_rows


def search(subject: Subject, options: TriggerSearch, run: Run, family: TriggerFamily[Any]) -> Iterator[Yield]:
    """Yield what the search by class finds, then ways out of classes and pairs where the options ask for them."""
    own = _search_of(subject, options, run, family)
    if subject.suspects is not None:
        yield from _follow(own, subject.suspects, run)
        return
    classes = own.classifier.num_classes
    paired = _takes_pairs(options, classes)
    own_run = replace(run, progress=lambda done, total: run.progress(done, total + options.pair_steps * paired))
    inversion = own.invert(every_class(classes), settings_of(options, classes), own_run)
    yield from numbers(inversion, of=classes)
    yield from own.found(inversion)
    samples = own.given
    for row in inversion.sizes.argsort()[: options.pictured].tolist():
        yield from _pictures(own, inversion, row, samples)
    if options.untargeted_starts:
        yield from search_untargeted(own, float(inversion.sizes.min()), run.quiet())
    if options.exits:
        yield from search_exits(own, run.quiet())
    if paired:
        yield from own.found((yield from search_pairs(own, run)))


def search_passes(subject: Subject, options: TriggerSearch, run: Run, family: TriggerFamily[Any]) -> Passes:
    """Return the passes that `search` would make."""
    own = _search_of(subject, options, run, family)
    classes, samples = own.classifier.num_classes, len(own.rows)
    if subject.suspects is not None:
        goals = len(followed(own, subject.suspects, run.seed)[1])
        return own.passes(goals, single_settings(options), pools_of_classes(goals, samples))
    settings = settings_of(options, classes)
    ended = min([classes, *(rung.keep + rung.references for rung in settings.rungs if rung.keep is not None)])
    found = own.passes(classes, settings, pools_of_classes(ended, samples))
    if starts := options.untargeted_starts:
        found += own.passes(starts, single_settings(options), Span.exactly(starts * samples))
    if options.exits:
        found += exits_passes(own)
    return found + pairs_passes(own) if _takes_pairs(options, classes) else found


def _search_of(subject: Subject, options: TriggerSearch, run: Run, family: TriggerFamily[Any]) -> FamilySearch:
    assert subject.samples is not None
    every = subject.samples
    rows = balanced_rows(len(every.inputs), every.labels, options.clean_samples, run.seed)
    return FamilySearch(subject.images, family, options, every, rows)


def _takes_pairs(options: TriggerSearch, classes: int) -> bool:
    """Tell whether pairs are searched too.

    With fewer classes nothing is usual among them, and with two the search by class has already found both pairs.
    """
    return options.pairs != "none" and classes >= LEAST_SOURCES


def followed(own: FamilySearch, suspects: Sequence[Location], seed: int) -> tuple[int, tuple[ClassGoal, ...]]:
    """Return how many classes of suspects are searched for, and the goals: those, then others drawn at random."""
    classes = own.classifier.num_classes
    chosen = tuple(dict.fromkeys(place.class_index for place in suspects if place.class_index is not None))
    chosen = chosen[: own.options.most]
    others = [index for index in range(classes) if index not in chosen]
    controls = random.Random(seed).sample(others, min(own.options.controls, len(others)))  # noqa: S311  # repeatable
    return len(chosen), tuple(ClassGoal(index) for index in (*chosen, *controls))


def _follow(own: FamilySearch, suspects: Sequence[Location], run: Run) -> Iterator[Yield]:
    """Yield what the search finds at the classes of the suspects, beside random others."""
    chosen, goals = followed(own, suspects, run.seed)
    found = own.invert(goals, single_settings(own.options), run)
    # Of so few classes that too few others are left, each is compared with all, as in a search of every class.
    controls = range(chosen, len(goals))
    found = replace(found, references=tuple(controls) if len(controls) >= LEAST_COMPARED else ())
    yield from numbers(found, of=own.classifier.num_classes)
    yield from own.found(found)
    for row in range(min(chosen, own.options.pictured)):
        yield from _pictures(own, found, row, own.given)


def settings_of(options: TriggerSearch, classes: int) -> Settings:
    """Return the engine's settings for a search over so many classes."""
    return replace(single_settings(options), rungs=schedule(classes, options.steps))


def numbers(found: Inversion, *, of: int) -> Iterator[Measurement]:
    """Yield the sizes of the classes searched for, of so many, and ratios and indices of those searched to the end."""
    sizes, compared = found.sizes.tolist(), found.compared
    against = [sizes[row] for row in compared]
    median = statistics.median(against) if against else 0.0
    for row, goal in enumerate(found.goals):
        place, finished = goal.location, bool(found.finished[row])
        note = "" if finished else "left the search at an early rung: an upper bound"
        yield Measurement(metric="size", value=sizes[row], location=place, note=note)
        yield Measurement(metric="attack-success-rate", value=float(found.success[row]), location=place)
        if finished and len(against) >= LEAST_COMPARED:
            yield Measurement(metric="size-ratio", value=sizes[row] / median if median else 1.0, location=place)
            yield Measurement(metric="anomaly-index", value=_index(sizes, row, compared), location=place)
    yield Measurement(metric="searched-share", value=int(found.finished.sum()) / of)


def _index(sizes: list[float], row: int, compared: tuple[int, ...]) -> float:
    """Return the anomaly index of one size among those it is compared with, and itself."""
    rows = compared if row in compared else (*compared, row)
    return low_side_anomaly_indices([sizes[other] for other in rows])[rows.index(row)]


def _pictures(search: FamilySearch, inversion: Inversion, row: int, samples: Samples) -> Iterator[Picture]:
    """Yield the trigger towards one class, a sample of another class, and that sample under the trigger."""
    place, own = inversion.goals[row].location, inversion.trigger(row)
    assert place is not None
    target = place.class_index
    assert target is not None
    bounds, noun = search.classifier.bounds, search.family.noun
    others = (samples.labels != target).nonzero().flatten() if samples.labels is not None else None
    example = samples.inputs[int(others[0]) if others is not None and len(others) else 0]
    triggered = search.triggers.apply(own, example[None, None])[0, 0]
    parts = {name: tensor[0] for name, tensor in search.triggers.tensors(own).items()}
    if "mask" in parts:
        mask = parts["mask"]
        yield picture(mask, "mask", (0.0, 1.0), place, f"mask towards class {target}")
        shown = mask * parts["pattern"] + (1 - mask) * bounds[0]
        yield picture(shown, "trigger", bounds, place, f"trigger towards class {target}")
    else:
        change = triggered - example
        reach = max(float(change.abs().max()), 1e-6 * (bounds[1] - bounds[0]))
        caption = f"what the {noun} towards class {target} changes; grey is nothing"
        yield picture(change, "difference", (-reach, reach), place, caption)
    yield picture(example, "sample", bounds, place, "a clean sample of another class")
    yield picture(triggered, "triggered", bounds, place, f"the same sample with the {noun} towards class {target}")
