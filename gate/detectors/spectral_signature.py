"""Looks in the logged training set for labels whose samples lie apart, in one direction, from clean ones of the class.

Measures  spectral-gap: how far a label's training samples lie from the clean samples of that class along the direction
          where they differ most, in clean standard deviations. gap-ratio: that over the median of all classes.
Matters   Poisoned training samples share what the trigger does to them and nothing else of their label, so that they
          move together, whether their labels were changed or are true. The rows furthest out are listed: they are what
          to look at, and to take out of the training set.
Blind to  A training set that is not the one that was trained on; attacks on the training procedure or on the weights;
          poison too rare or too much like its class; clean samples that hold the poison too.
See       Tran, Li and Madry, "Spectral Signatures in Backdoor Attacks", NeurIPS 2018; Hayase et al., "SPECTRE", ICML
          2021.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.declarations import Metric, Options
from gate.records.evidence import Location, Measurement
from gate.records.run import Run
from gate.search.options import LEAST_COMPARED
from gate.spaces.subject import Subject, Yield

if TYPE_CHECKING:
    from gate.statistics.spectral import Array, Signature

LISTED = 20
"""So many rows of the training set are named per class."""
FAR = 3.5
"""Deviations beyond which hardly a clean sample lies; for the note and the plot, not for the verdict."""


class SpectralSignature(Options):
    """How many samples are looked at, in how many directions."""

    samples_per_class: int = Field(default=300, ge=16)
    clean_samples: int = Field(default=1000, ge=16)
    dimensions: int = Field(default=64, ge=1, le=1000)
    """Principal directions of the activations; more of them need more clean samples."""


def measure(subject: Subject, options: SpectralSignature, run: Run) -> Iterator[Yield]:
    """Yield gap, ratio and plot of every label of the training set that can be measured."""
    import statistics

    from gate.records.errors import UnexaminableError
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
        places = seen.signature.places
        yield plot(
            location,
            "the direction furthest from clean samples, and the next",
            places,
            ("training",) * len(places),
            seen.far().astype(int),
        )


@dataclass(frozen=True)
class _Seen:
    """One label's signature, and what it was taken of."""

    signature: "Signature"
    rows: "Array"
    """(N,), the samples' row numbers in the training set."""
    clean: int
    """How many clean samples of the class it was compared with."""

    def far(self) -> "Array":
        """Return a mask (N,) of the samples that lie further out than hardly a clean one does."""
        import numpy as np

        distances = np.abs(self.signature.places[:, 0])
        return np.asarray(distances > FAR)

    def note(self) -> str:
        """Return how much was looked at, and which rows of the training set lie furthest out."""
        import numpy as np

        order = np.argsort(-np.abs(self.signature.places[:, 0]), kind="stable")[:LISTED]
        listed = ", ".join(str(int(row)) for row in self.rows[order])
        far = int((np.abs(self.signature.places[:, 0]) > FAR).sum())
        return (
            f"{len(self.rows)} training and {self.clean} clean samples; {far} lie more than {FAR:g} deviations out; "
            f"furthest, by row of the training set from 0: {listed}."
        )


def _signatures(subject: Subject, options: SpectralSignature, run: Run) -> Iterator[tuple[int, _Seen]]:
    """Yield by label what can be compared: training samples of it, and clean samples of the class."""
    import torch

    from gate.records.errors import UnexaminableError
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
    metrics=(
        Metric(
            "spectral-gap", "deviations", "higher", "How far training samples lie from clean ones, in one direction."
        ),
        Metric("gap-ratio", "×", "higher", "The gap over the median of all classes.", least_classes=LEAST_COMPARED),
    ),
    options=SpectralSignature,
    measure=measure,
)
