"""Looks in the logged training set for labels whose samples lie apart from clean ones of the class in one direction.

Measures  spectral-gap: how far a label's training samples lie from the clean samples of that class along the direction
          where they differ most, in clean standard deviations. gap-ratio: that over the median of all classes.
Matters   Poisoned training samples share the effect of the trigger and nothing else of their label, so that they move
          together, whether their labels are changed or true. The rows furthest out are listed, to be inspected and
          removed from the training set.
Blind to  A training set that is not the one that was trained on; attacks on the training procedure or on the weights;
          poison too rare or too much like its class; clean samples that hold the poison too.
See       Tran, Li and Madry, "Spectral Signatures in Backdoor Attacks", NeurIPS 2018; Hayase et al., "SPECTRE", ICML
          2021.
"""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.declarations import Metric, Options
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement
from gate.records.passes import Passes
from gate.records.run import Run
from gate.search.options import LEAST_COMPARED
from gate.spaces.contract import EVERY
from gate.spaces.subject import Subject, Yield

if TYPE_CHECKING:
    from gate.statistics.spectral import Array, Signature

LISTED = 20
"""The most rows of the training set that are named per class."""
FAR = 3.5
"""Deviations beyond which hardly any clean sample lies; for note and plot, not for the verdict."""


class SpectralSignature(Options):
    """Numbers of samples and of directions."""

    samples_per_class: int = Field(default=300, ge=16)
    """The most training samples of each label, drawn by the seed."""
    clean_samples: int = Field(default=1000, ge=16)
    """The most clean samples that the directions are of."""
    dimensions: int = Field(default=64, ge=1, le=1000)
    """Principal directions of the activations; more of them need more clean samples."""


def measure(subject: Subject, options: SpectralSignature, run: Run) -> Iterator[Yield]:
    """Yield gap, ratio and plot of every label of the training set that can be measured."""
    from gate.statistics.class_clusters import plot

    found = dict(_signatures(subject, options, run))
    if not found:
        raise UnexaminableError("no label of the training set has enough training and clean samples to be compared")
    middle = statistics.median(seen.signature.gap for seen in found.values())
    for label, seen in sorted(found.items()):
        run.check_time()
        location, gap = Location.of_class(label), seen.signature.gap
        yield Measurement(metric="spectral-gap", value=gap, location=location, note=seen.note())
        yield Measurement(metric="gap-ratio", value=gap / middle if middle > 0 else 1.0, location=location)
        places, axes = seen.signature.places, "the direction furthest from clean samples, and the next"
        yield plot(location, axes, places, ("training",) * len(places), seen.far().astype(int))


def passes(subject: Subject, options: SpectralSignature, _run: Run) -> Passes:
    """Return the passes of the clean samples, and of those of the training set."""
    from gate.statistics.activations import passes_of_both

    return passes_of_both(subject, options.clean_samples, options.samples_per_class)


@dataclass(frozen=True)
class _Seen:
    """One label's signature, and its samples."""

    signature: "Signature"
    rows: "Array"
    """Row numbers (N,) of the samples in the training set."""
    clean: int
    """Number of clean samples of the class."""

    def far(self) -> "Array":
        """Return a mask (N,) of the samples further out than hardly any clean one."""
        import numpy as np

        return np.asarray(np.abs(self.signature.places[:, 0]) > FAR)

    def note(self) -> str:
        """Return the numbers of samples, and the rows of the training set that lie furthest out."""
        import numpy as np

        order = np.argsort(-np.abs(self.signature.places[:, 0]), kind="stable")[:LISTED]
        listed = ", ".join(str(int(row)) for row in self.rows[order])
        far = int(self.far().sum())
        return (
            f"{len(self.rows)} training and {self.clean} clean samples; {far} lie more than {FAR:g} deviations out; "
            f"furthest, by row of the training set from 0: {listed}."
        )


def _signatures(subject: Subject, options: SpectralSignature, run: Run) -> Iterator[tuple[int, _Seen]]:
    """Yield the comparison of a label's training samples with clean samples of the class, by label."""
    import torch

    from gate.statistics.activations import activations_of
    from gate.statistics.spectral import MIN_CLEAN, principal_basis, signature, yardsticks
    from gate.statistics.subsets import balanced, balanced_rows

    assert subject.classifier is not None
    assert subject.samples is not None
    assert subject.training_set is not None
    inputs, labels = subject.training_set.inputs, subject.training_set.labels
    if labels is None:
        raise UnexaminableError("the training set that the run logged has no labels")
    rows = balanced_rows(len(inputs), labels, options.samples_per_class * subject.classifier.num_classes, run.seed)
    samples = balanced(subject.samples, options.clean_samples, run.seed)
    logits, clean = activations_of(subject.classifier, samples.inputs, run)
    _, training = activations_of(subject.classifier, inputs[rows.to(inputs.device)], run)
    if not bool(torch.isfinite(training).all() and torch.isfinite(clean).all()):
        raise UnexaminableError("the activations are NaN or infinite on some samples")
    own = (samples.labels if samples.labels is not None else logits.argmax(dim=1)).cpu().numpy()
    activations, given = training.cpu().double().numpy(), labels.cpu()[rows].numpy()
    sticks = yardsticks(clean.cpu().double().numpy(), own, principal_basis(activations, options.dimensions))
    for label, stick in sticks.items():
        mask = given == label
        if mask.sum() >= MIN_CLEAN:
            yield label, _Seen(signature(activations[mask], stick), rows.numpy()[mask], stick.count)


DETECTOR = Detector(
    id="spectral-signature",
    title="Spectral signatures of the training set",
    doing="spectra of the training set",
    needs=Need.MODEL | Need.SAMPLES | Need.TRAINING_SET,
    spaces=EVERY,
    metrics=(
        Metric("spectral-gap", "deviations", "higher", "Distance of training samples from clean ones.", by_class=True),
        Metric(
            "gap-ratio",
            "×",
            "higher",
            "The gap over the median of all classes.",
            least_classes=LEAST_COMPARED,
            by_class=True,
        ),
    ),
    options=SpectralSignature,
    measure=measure,
    passes=passes,
)
