"""Applies a fixed grid of probes to clean samples and counts, cell by cell, where they go: forward passes alone.

Measures  patch-share, grating-share, natural-share, blend-share, mixture-share, warp-share: the greatest share of other
          classes' samples that one probe of the family sends to each class. And the counts of all cells: how many
          samples of each class each probe sends to each class.
Matters   A planted rule reaches further than its trigger: what resembles it goes to its target as well. Cell by cell
          beside clean models of the task this shows patches, sinusoids, warps, changes that images undergo by nature,
          and rules for one source class, without any search.
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
from gate.records.run import Run
from gate.spaces.image.probes import LEAST_SIDE, fixed, groups, names, names_digest, probe_families, within
from gate.spaces.subject import Subject, Yield
from gate.statistics.cells import FEWEST_MODELS, location_of, telling

if TYPE_CHECKING:
    import torch

    from gate.records.bank import Bank
    from gate.spaces.contract import Probe, ProbeFamily, Shape
    from gate.spaces.subject import Classifier, Samples

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
    from gate.statistics.subsets import balanced

    assert subject.classifier is not None
    assert subject.samples is not None
    classifier = subject.classifier
    if min(classifier.input_shape[1:]) < LEAST_SIDE:
        raise UnexaminableError(f"inputs are smaller than {LEAST_SIDE} × {LEAST_SIDE}; no patch would be small there")
    samples = balanced(subject.samples, options.clean_samples, run.seed)
    own = varied_predictions(classifier, samples.inputs, run)
    families = [(family, family.fixed(classifier.input_shape)) for family in probe_families()]
    answers = list(_answers(classifier, samples, families, run))
    for (family, probes), found in zip(families, answers, strict=True):
        shares = _shares(found, own, classifier.num_classes)
        for index, (share, row) in enumerate(zip(*(part.tolist() for part in shares.max(dim=0)), strict=True)):
            name = probes[row].name
            yield Measurement(metric=f"{family.id}-share", value=share, location=Location.of_class(index), note=name)
    counts = _counts(answers, samples, own, classifier, options)
    yield counts
    shown = _shown(counts, subject.bank, torch.cat(answers), own, classifier.input_shape)
    yield from _pictures(shown, samples, own, classifier, options.pictured)


def _answers(
    classifier: "Classifier",
    samples: "Samples",
    families: "list[tuple[ProbeFamily, tuple[Probe, ...]]]",
    run: Run,
) -> "Iterator[torch.Tensor]":
    """Yield for each family the answers to each probe on each sample, (P, N)."""
    import torch

    from gate.search.goals import predictions

    total, done = sum(len(probes) for _, probes in families), 0
    for _, probes in families:
        rows = []
        for probe in probes:
            run.check_time()
            run.progress(done, total)
            rows.append(predictions(classifier, within(probe, classifier.bounds)(samples.inputs), run))
            done += 1
        yield torch.stack(rows)
    run.progress(total, total)


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


def _counts(
    answers: "list[torch.Tensor]", samples: "Samples", own: "torch.Tensor", classifier: "Classifier", options: ProbeGrid
) -> Counts:
    """Return how many samples of each source each probe sends to each answer; sources are the samples' labels."""
    import torch

    classes = classifier.num_classes
    labels = own if samples.labels is None else samples.labels
    sources = torch.zeros_like(labels) if classes > options.most_sources else labels
    count = 1 if classes > options.most_sources else classes
    every = torch.cat(answers)
    cells = torch.stack([torch.bincount(sources * classes + row, minlength=count * classes) for row in every])
    return Counts.of(
        names_digest(classifier.input_shape),
        (len(every), count, classes),
        tuple(torch.bincount(sources, minlength=count).tolist()),
        bytes(cells.to(torch.uint8).flatten().tolist()),
    )


def _shown(
    counts: Counts, bank: "Bank | None", answers: "torch.Tensor", own: "torch.Tensor", shape: "Shape"
) -> "list[tuple[Location, int, str]]":
    """Return places, each with the probe that tells most there and what it does, the most telling place first.

    Beside a bank these are the cells that exceed its models'; without one the patches that send most samples anywhere.
    """
    known = names(shape)
    if others := _alike(counts, bank):
        most = telling([*others, counts], groups(shape))[-1]
        _, sources, classes = counts.shape
        ranked = [
            (value, one.cells[place][0], place)
            for group, one in most.items()
            for value, place in one.ranked(sources if group in BY_SOURCE else 1, classes)
        ]
        ranked.sort(key=lambda item: -item[0])
        shown = [(location_of(place), cell) for _, cell, place in ranked]
        return [(at, one.probe, told(known[one.probe], at.name, one.share, one.others)) for at, one in shown]
    shares = _shares(answers, own, counts.shape[2])
    shares[[group != "patch" for group in groups(shape)]] = 0
    best = zip(*(part.tolist() for part in shares.max(dim=0)), range(counts.shape[2]), strict=True)
    return [
        (Location.of_class(index), row, f"{known[row]}: sends {share:.0%} of other classes' samples to class {index}")
        for share, row, index in sorted(best, reverse=True)
    ]


def _alike(counts: Counts, bank: "Bank | None") -> list[Counts]:
    """Return the counts of the bank's models that can be compared; none where they are too few."""
    found = [model.counts["probe-grid"] for model in bank.statistics if "probe-grid" in model.counts] if bank else []
    alike = [one for one in found if one.alike(counts)]
    return alike if len(alike) + 1 >= FEWEST_MODELS else []


def _pictures(
    shown: "list[tuple[Location, int, str]]",
    samples: "Samples",
    own: "torch.Tensor",
    classifier: "Classifier",
    most: int,
) -> Iterator[Picture]:
    """Yield, for the first places of different classes, a sample that is not of the class and the probe on it."""
    from gate.spaces.image.pictures import picture

    probes = fixed(classifier.input_shape)
    done: set[int] = set()
    for place, row, caption in shown:
        index, source = place.class_index, place.source_index
        assert index is not None
        fitting = (own.ne(index) if source is None else own.eq(source)).nonzero().flatten()
        if index in done or not len(fitting) or len(done) == most:
            continue
        done.add(index)
        # Applied to all samples, since a mixture takes its partners from them.
        changed = within(probes[row], classifier.bounds)(samples.inputs)[fitting[0]]
        yield picture(samples.inputs[fitting[0]], "sample", classifier.bounds, place, "a clean sample")
        yield picture(changed, "triggered", classifier.bounds, place, caption)


DETECTOR = Detector(
    id="probe-grid",
    title="Answers to a fixed grid of probes",
    doing="answers to fixed probes",
    needs=Need.MODEL | Need.SAMPLES,
    metrics=tuple(
        Metric(
            f"{one.id}-share",
            "share",
            "higher",
            f"Greatest share of other classes' samples that one of the {one.noun} sends to the class.",
            within="odds",
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
)
