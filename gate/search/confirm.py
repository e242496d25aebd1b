"""Confirmation of suspects: the trigger of an earlier stage on new samples, on clean models, and searched for again.

Each of the five numbers is measured where it can be; what is missing is stated with its reason beside the suspect.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch

from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement
from gate.records.passes import Passes, Span
from gate.records.run import Run
from gate.search.goals import predictions
from gate.search.pairs import LEAST_SAMPLES, nearest_class
from gate.spaces.subject import Classifier, Found, Samples, Subject, Trigger
from gate.statistics.subsets import chosen
from gate.statistics.witnesses import (
    agreement,
    contrast,
    share_at_or_below,
    split_by_class,
    success_share,
    transfer_share,
)

FIVE = ("held-out-success", "size-quantile", "transfer", "symmetry", "stability")
"""Metrics that confirm a suspect."""
SMALLEST = 1e-6
"""Share of a family's largest size that stands in for a smaller one, so that ratios stay finite."""
_LISTED = 16


@dataclass(frozen=True)
class Bench:
    """Model, samples and limits, the same for every suspect."""

    subject: Subject
    classifier: Classifier
    samples: Samples
    labels: torch.Tensor
    """The samples' labels (N,), or the model's first choices where they carry none; on the CPU."""
    most: int
    """Number of suspects that are searched for again, smallest first."""
    clean_samples: int
    run: Run

    def inputs(self, rows: torch.Tensor) -> torch.Tensor:
        """Return at most `clean_samples` of the samples at these indices, by the run's seed."""
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(self.run.seed))
        return self.samples.inputs[rows[order[: self.clean_samples]].to(self.samples.inputs.device)]


@dataclass(frozen=True)
class Case:
    """One suspect, its trigger, and what could not be measured of it."""

    place: Location
    target: int
    trigger: Trigger
    movable: torch.Tensor
    """Indices of the samples that its trigger should move."""
    unseen: torch.Tensor
    """Indices of movable samples that the search was not given."""
    lacking: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The trigger's size as a share of its family's largest."""
        return share_of_largest(self.trigger)

    def measured(self, metric: str, value: float, note: str = "") -> Measurement:
        """Return a measurement at the suspect."""
        return Measurement(metric=metric, value=value, location=self.place, note=note[:2000])


def confirm(subject: Subject, most: int, clean_samples: int, run: Run) -> Iterator[Measurement]:
    """Yield what can be measured of each suspect, smallest trigger first, and which share of the five that is."""
    assert subject.classifier is not None
    assert subject.samples is not None
    classifier, samples = subject.classifier, subject.samples
    labels = samples.labels if samples.labels is not None else predictions(classifier, samples.inputs, run)
    bench = Bench(subject, classifier, samples, labels.cpu(), most, clean_samples, run)
    places = subject.suspects if subject.suspects is not None else tuple(subject.triggers)
    cases = sorted((_case(bench, place) for place in places), key=lambda case: case.share)
    for number, case in enumerate(cases):
        run.check_time()
        found = list(_numbers(bench, case, again=number < most))
        yield from found
        share = len({measurement.metric for measurement in found} & set(FIVE)) / len(FIVE)
        yield case.measured("completeness", share, "not measured: " + "; ".join(case.lacking) if case.lacking else "")
        run.progress(number + 1, len(cases))


def confirm_passes(subject: Subject, most: int, clean_samples: int) -> Passes:
    """Return the passes that `confirm` would make; those of searches anew as far as the triggers are known."""
    assert subject.samples is not None
    samples = len(subject.samples.inputs)
    places = subject.suspects if subject.suspects is not None else tuple(subject.triggers)
    tried = min(clean_samples, samples) * (1 + 2 * (1 + len(subject.references)))
    unlabelled = 0 if subject.samples.labels is not None else samples
    found = Passes(Span(unlabelled, unlabelled + len(places) * tried), alone=False)
    by_size = sorted((subject.triggers[place] for place in places if place in subject.triggers), key=share_of_largest)
    return sum((_passes_again(trigger, samples) for trigger in by_size[:most]), found)


def share_of_largest(trigger: Trigger) -> float:
    """Return a trigger's size as a share of its family's largest, by which families compare."""
    return trigger.found.size / trigger.found.largest if trigger.found else 1.0


def _passes_again(trigger: Trigger, samples: int) -> Passes:
    """Return the passes of a second search for a trigger, and at most of one there and back with its nearest class."""
    if trigger.found is None:
        return Passes()
    kind, again = trigger.location.kind, trigger.found.passes_again
    ways = again("pair", 1 if kind == "pair" else 2) + Passes(Span.exactly(2 * samples))
    return again(kind, 1) + ways.perhaps


def _case(bench: Bench, place: Location) -> Case:
    trigger, target, source = bench.subject.triggers.get(place), place.class_index, place.source_index
    if trigger is None or target is None:
        raise UnexaminableError(f"no earlier stage inverted a trigger for {place}")
    movable = (bench.labels != target if source is None else bench.labels == source).nonzero().flatten()
    given = trigger.found.rows.cpu() if trigger.found else movable[:0]
    return Case(place, target, trigger, movable, movable[~torch.isin(movable, given)])


def _numbers(bench: Bench, case: Case, *, again: bool) -> Iterator[Measurement]:
    first = case.trigger.found
    if first is None:
        case.lacking.append("stability and symmetry (how its trigger was found is not known)")
    elif not again:
        case.lacking.append(f"stability and symmetry (not among the {bench.most} smallest suspects)")
    if first is None or not again:
        yield from _held_out(bench, case, case.trigger, case.unseen, "")
    elif len(case.unseen) >= LEAST_SAMPLES:
        second = _again(bench, case, first, first.rows)
        yield from _stability(case, first, second, "on the same samples")
        yield from _held_out(bench, case, case.trigger, case.unseen, "")
    else:
        # The search was given every sample, so a second search is given two thirds and tested on the rest.
        rows, kept = split_by_class(bench.labels, bench.run.seed)
        second = _again(bench, case, first, rows)
        yield from _stability(case, first, second, "on two thirds of the samples")
        note = "the first search was given every sample: a second one's trigger, on the third that was kept from it"
        yield from _held_out(bench, case, second, kept[torch.isin(kept, case.movable)], note)
    yield from _quantile(bench, case, first)
    yield from _transfer(bench, case)
    if first is not None and again:
        yield from _symmetry(bench, case, first)


def _again(bench: Bench, case: Case, first: Found, rows: torch.Tensor) -> Trigger:
    """Search for the suspect's trigger from another start."""
    (second,) = first.again((case.place,), rows, replace(bench.run.quiet(), seed=bench.run.seed + 1))
    return second


def _stability(case: Case, first: Found, second: Trigger, where: str) -> Iterator[Measurement]:
    assert second.found is not None
    sizes = [max(size, SMALLEST * first.largest) for size in (first.size, second.found.size)]
    note = f"sizes {sizes[0]:.4g} and {sizes[1]:.4g}, the second {where}"
    yield case.measured("stability", agreement(case.trigger.tensors, second.tensors), note)
    yield case.measured("size-stability", min(sizes) / max(sizes))


def _held_out(bench: Bench, case: Case, trigger: Trigger, rows: torch.Tensor, note: str) -> Iterator[Measurement]:
    if len(rows) < LEAST_SAMPLES:
        case.lacking.append(f"held-out-success ({len(rows)} samples were kept from the search)")
        return
    inputs = bench.inputs(rows)
    share = success_share(bench.classifier, trigger, inputs, case.target, bench.run)
    yield case.measured("held-out-success", share, f"{len(inputs)} samples" + (f"; {note}" if note else ""))


def _quantile(bench: Bench, case: Case, first: Found | None) -> Iterator[Measurement]:
    """Yield the size's quantile among the bank's, if the same search measured these."""
    bank = bench.subject.bank
    if bank is None or first is None:
        case.lacking.append("size-quantile (no bank)" if bank is None else "size-quantile (no search gave its size)")
        return
    sizes = bank.sizes(first.detector, str(case.place))
    if not sizes:
        case.lacking.append(f"size-quantile (the bank has no sizes of {first.detector} at {case.place})")
    elif bank.settings.get(first.detector) != first.settings:
        case.lacking.append(f"size-quantile (the bank's {first.detector} ran with other options than this policy's)")
    else:
        note = f"{first.size:.4g} among {len(sizes)} of clean models, the smallest of them {min(sizes):.4g}"
        yield case.measured("size-quantile", share_at_or_below(sizes, first.size), note)


def _transfer(bench: Bench, case: Case) -> Iterator[Measurement]:
    """Yield the mean success of the same trigger on the reference models, which no search has seen."""
    references = bench.subject.references
    rows = case.unseen if len(case.unseen) >= LEAST_SAMPLES else case.movable
    if not references or len(rows) < LEAST_SAMPLES:
        why = "no reference model of this task" if not references else f"{len(rows)} samples to try it on"
        case.lacking.append(f"transfer ({why})")
        return
    inputs = bench.inputs(rows)
    shares = [transfer_share(reference, case.trigger, inputs, case.target, bench.run) for reference in references]
    listed = ", ".join(f"{share:.2f}" for share in shares[:_LISTED]) + (", …" if len(shares) > _LISTED else "")
    mean = sum(shares) / len(shares)
    yield case.measured("transfer", mean, f"reference models: {listed}")
    own = transfer_share(bench.classifier, case.trigger, inputs, case.target, bench.run)
    yield case.measured("transfer-contrast", contrast(own, mean, len(inputs)), f"{own:.2f} on the model itself")


def _symmetry(bench: Bench, case: Case, first: Found) -> Iterator[Measurement]:
    """Yield the size of the way back over the size of the way there; a class is paired with its nearest other class."""
    labels, source = bench.labels[first.rows.cpu()], case.place.source_index
    if source is None:
        source = nearest_class(bench.classifier, chosen(bench.samples, first.rows), labels, case.target, bench.run)
    if source is None or int((labels == case.target).sum()) < LEAST_SAMPLES:
        case.lacking.append("symmetry (too few samples to search for a way back)")
        return
    back, there = Location.of_pair(case.target, source), Location.of_pair(source, case.target)
    searched = (back,) if case.place == there else (back, there)
    found = first.again(searched, first.rows, bench.run.quiet())
    sizes = [trigger.found.size for trigger in found if trigger.found is not None]
    way_back, way_there = (max(size, SMALLEST * first.largest) for size in [*sizes, first.size][:2])
    yield case.measured("symmetry", way_back / way_there, f"{back} {way_back:.4g}, {there} {way_there:.4g}")
