"""Applies a fixed grid of probes to clean samples and counts, cell by cell, where they go: forward passes alone.

Measures  patch-share, grating-share, natural-share, blend-share, mixture-share, warp-share: the greatest share of other
          classes' samples that one probe of the family sends to each class. And of every cell the number of samples of
          a class that a probe sends to a class; with a probe seed the same, sealed, of a tenth as many secret ones.
Matters   A planted rule reaches further than its trigger: what resembles it goes to its target as well. Cell by cell
          beside clean models of the task this shows patches, sinusoids, warps, natural changes, and rules for one
          source class, without any search.
Blind to  Without references of the same task, most of it: in every model some class attracts unclear samples. Triggers
          unlike every probe, payloads behind exact thresholds.
See       Yin et al., "A Fourier Perspective on Model Robustness", NeurIPS 2019; Wang et al., "Model X-ray",
          arXiv:2402.17465. Figures in docs/explanation/detection.md.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.comparison import told
from gate.records.counts import MOST_SAMPLES, Counts
from gate.records.declarations import Compared, Metric, Options
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement, Picture
from gate.records.passes import Passes, Span
from gate.records.run import Run
from gate.records.secret_counts import SecretCounts
from gate.spaces.contract import UNTOLD
from gate.spaces.image.probes import (
    LEAST_SIDE,
    fixed,
    groups,
    in_parts,
    names,
    names_digest,
    probe_families,
    secret_digest,
    secret_groups,
    secret_probes,
    within,
)
from gate.spaces.subject import Subject, Yield
from gate.statistics.cells import FEWEST_MODELS, location_of, telling
from gate.statistics.secret_cells import Joined, with_secret

if TYPE_CHECKING:
    import torch

    from gate.records.bank import Bank
    from gate.spaces.contract import Shape
    from gate.spaces.subject import ImageClassifier, Samples

_ID = "probe-grid"
CELLS = {
    "cells": "How far the answers to the most telling probes exceed those of a bank's models; from the counts.",
    "pairs": "The same from the most telling source class, less what the class takes from the others.",
}
"""Statistics of the counts, by group of probes, which only a comparison has."""
BY_SOURCE = ("patch", "natural")
"""Groups of probes that are compared by source class too; waves, noise and warps are laid over all classes alike."""


class ProbeGrid(Options):
    """Numbers of samples."""

    clean_samples: int = Field(default=60, ge=2, le=MOST_SAMPLES)
    """Most clean samples that each probe is applied to, an equal share of each class."""
    most_sources: int = Field(default=40, ge=1, le=200)
    """Most classes of a model whose answers are counted by source class; those of others by all sources together."""
    pictured: int = Field(default=3, ge=0, le=8)
    """Number of classes, the most telling first, whose probe the report shows on a sample."""


def measure(subject: Subject, options: ProbeGrid, run: Run) -> Iterator[Yield]:
    """Yield the greatest share of every family and class, the counts of all cells, and the most telling probes."""
    import torch

    from gate.search.goals import varied_predictions
    from gate.statistics.probe_answers import answers_to
    from gate.statistics.subsets import balanced

    assert subject.samples is not None
    classifier = subject.images
    if min(classifier.input_shape[1:]) < LEAST_SIDE:
        raise UnexaminableError(f"inputs are smaller than {LEAST_SIDE} × {LEAST_SIDE}; no patch would be small there")
    samples = balanced(subject.samples, options.clean_samples, run.seed)
    own = varied_predictions(classifier, samples.inputs, run)
    shape = classifier.input_shape
    grid = [family.fixed(shape) for family in probe_families()]
    secret = secret_probes(shape, run.probe_seed) if run.probe_seed else ()
    laid = [[in_parts(probe, classifier.bounds) for probe in probes] for probes in (*grid, secret)]
    *answers, hidden = answers_to(classifier, samples.inputs, laid, own, run)
    for family, probes, found in zip(probe_families(), grid, answers, strict=True):
        shares = _shares(found, own, classifier.num_classes)
        for index, (share, row) in enumerate(zip(*(part.tolist() for part in shares.max(dim=0)), strict=True)):
            name = probes[row].name
            yield Measurement(metric=f"{family.id}-share", value=share, location=Location.of_class(index), note=name)
    every = torch.cat(answers)
    counts = _counts(names_digest(shape), every, samples, own, classifier, options)
    yield counts
    sealed = None
    if run.probe_seed:
        digest = secret_digest(shape, run.probe_seed)
        sealed = SecretCounts.of(_counts(digest, hidden, samples, own, classifier, options), run.probe_seed)
        yield sealed
    if beside := _joined(counts, sealed, subject.bank, run, shape):
        shown = _beside(beside, shape)
    else:
        shown = _within(every, own, shape, classifier.num_classes)
    yield from _pictures(shown, samples, own, classifier, options.pictured)


def passes(subject: Subject, options: ProbeGrid, run: Run) -> Passes:
    """Return the passes of every probe, and of those that the model itself is asked again."""
    from gate.statistics.probe_answers import asked_again

    assert subject.samples is not None
    shape = subject.images.input_shape
    if min(shape[1:]) < LEAST_SIDE:
        return Passes()
    samples = min(options.clean_samples, len(subject.samples.inputs))
    count = len(names(shape)) + (len(secret_groups(shape)) if run.probe_seed else 0)
    again = asked_again(count, len(probe_families()) + 1) if subject.images.arithmetic else Span()
    return Passes((Span.exactly(1 + count) + again).times(samples))


def _shares(answers: "torch.Tensor", own: "torch.Tensor", classes: int) -> "torch.Tensor":
    """Return the share of other classes' samples that each probe sends to each class, (P, K).

    `answers` (P, N) are those to the probes, `own` (N,) those to the samples themselves.
    """
    import torch

    found = torch.zeros(len(answers), classes, device=answers.device)
    moved = (answers != own).float()
    found.scatter_add_(1, answers, moved)
    others = len(own) - torch.bincount(own, minlength=classes)
    return found / others.clamp(min=1)


def _counts(  # two calls, above
    probes: str,
    every: "torch.Tensor",
    samples: "Samples",
    own: "torch.Tensor",
    classifier: "ImageClassifier",
    options: ProbeGrid,
) -> Counts:
    """Return how many samples of each source each probe sends to each answer; sources are the samples' labels.

    `every` (P, N) are the answers to the probes of that digest.
    """
    import torch

    classes = classifier.num_classes
    labels = own if samples.labels is None else samples.labels
    sources = torch.zeros_like(labels) if classes > options.most_sources else labels
    count = 1 if classes > options.most_sources else classes
    cells = torch.stack([torch.bincount(sources * classes + row, minlength=count * classes) for row in every])
    return Counts.of(
        probes,
        (len(every), count, classes),
        tuple(torch.bincount(sources, minlength=count).tolist()),
        bytes(cells.to(torch.uint8).flatten().tolist()),
    )


def _beside(joined: Joined, shape: "Shape") -> "list[tuple[Location, int, str]]":
    """Return places, each with the probe that tells most there beside a bank's models and what it does, the first most.

    The candidate's counts are the last.
    """
    known = names(shape) + (UNTOLD,) * joined.secret
    most = telling(joined.counts, groups(shape) + secret_groups(shape)[: joined.secret])[-1]
    _, sources, classes = joined.counts[-1].shape
    ranked = [
        (value, one.cells[place][0], place)
        for group, one in most.items()
        for value, place in one.ranked(sources if group in BY_SOURCE else 1, classes)
    ]
    ranked.sort(key=lambda item: -item[0])
    shown = [(location_of(place), cell) for _, cell, place in ranked]
    return [(at, one.probe, told(known[one.probe], at.name, one.share, one.others)) for at, one in shown]


def _within(
    answers: "torch.Tensor", own: "torch.Tensor", shape: "Shape", classes: int
) -> "list[tuple[Location, int, str]]":
    """Return the same without a bank: of each class the fixed patch that sends most samples there."""
    known, shares = names(shape), _shares(answers, own, classes)
    shares[[group != "patch" for group in groups(shape)]] = 0
    best = zip(*(part.tolist() for part in shares.max(dim=0)), range(classes), strict=True)
    return [
        (Location.of_class(index), row, f"{known[row]}: sends {share:.0%} of other classes' samples to class {index}")
        for share, row, index in sorted(best, reverse=True)
    ]


def _joined(
    counts: Counts, sealed: SecretCounts | None, bank: "Bank | None", run: Run, shape: "Shape"
) -> Joined | None:
    """Return the counts of the bank's models that can be compared, and the candidate's; None where they are too few."""
    found = [model for model in bank.statistics if _ID in model.counts] if bank else []
    alike = [model for model in found if model.counts[_ID].alike(counts)]
    if len(alike) + 1 < FEWEST_MODELS:
        return None
    every = [*(model.counts[_ID] for model in alike), counts]
    secret = [*(model.secret_counts.get(_ID) for model in alike), sealed]
    return with_secret(every, secret, run.probe_seed, len(secret_groups(shape)))


def _pictures(
    shown: "list[tuple[Location, int, str]]",
    samples: "Samples",
    own: "torch.Tensor",
    classifier: "ImageClassifier",
    most: int,
) -> Iterator[Picture]:
    """Yield, for the first places of different classes, a sample that is not of the class and the probe on it.

    A secret probe is never pictured, whatever it tells.
    """
    from gate.spaces.image.pictures import picture

    probes = fixed(classifier.input_shape)
    done: set[int] = set()
    for place, row, caption in shown:
        index, source = place.class_index, place.source_index
        assert index is not None
        fitting = (own.ne(index) if source is None else own.eq(source)).nonzero().flatten()
        if row >= len(probes) or index in done or not len(fitting) or len(done) == most:
            continue
        done.add(index)
        # Applied to all samples, since a mixture takes its partners from them.
        changed = within(probes[row], classifier.bounds)(samples.inputs)[fitting[0]]
        yield picture(samples.inputs[fitting[0]], "sample", classifier.bounds, place, "a clean sample")
        yield picture(changed, "triggered", classifier.bounds, place, caption)


DETECTOR = Detector(
    id=_ID,
    title="Answers to a fixed grid of probes",
    doing="answers to fixed probes",
    needs=Need.MODEL | Need.SAMPLES,
    metrics=tuple(
        Metric(
            f"{one.id}-share",
            "share",
            "higher",
            f"Greatest share of other classes' samples that one of the {one.noun} sends to the class.",
            by_class=True,
        )
        for one in probe_families()
    )
    + tuple(
        Metric(f"{group}-{kind}", "deviations", "higher", meaning, compared=Compared("cells", "class"))
        for group in dict.fromkeys(family.group for family in probe_families())
        for kind, meaning in CELLS.items()
        if kind == "cells" or group in BY_SOURCE
    ),
    options=ProbeGrid,
    measure=measure,
    passes=passes,
)
