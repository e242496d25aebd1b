"""Clusters the activations of each label of the logged training set to see whether two causes lead to it.

Measures  silhouette: how clearly a label's activations split in two. relative-size: share of the smaller cluster.
          exclusive-reclassification: share of it whose nearest clean samples are of another class. neuron-shift: the
          neurons that differ most.
Matters   Poisoned samples with changed labels can form a cluster of their own, near clean samples of another class. The
          smaller cluster is the part of the training set to inspect.
Blind to  Clean-label poison, which shares the class's features; poison too rare to form a cluster; poison that the net
          has drawn into the class: on small nets classes of a clean training set split as clearly as poisoned ones, and
          `spectral-signature` tells them apart. A logged set that is not the one that was trained on.
See       Chen et al., "Detecting Backdoor Attacks by Activation Clustering", SafeAI 2019.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.declarations import Metric, Options
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement
from gate.records.passes import Passes
from gate.records.run import Run
from gate.spaces.contract import EVERY
from gate.spaces.subject import Subject, Yield

if TYPE_CHECKING:
    from gate.statistics.class_clusters import Group
    from gate.statistics.clustering import Array


class TrainingSetClustering(Options):
    """Settings of reducing and splitting activations."""

    reduction: Literal["pca", "t-sne"] = "pca"
    """How activations are reduced before they are split."""
    dimensions: int = Field(default=10, ge=1, le=100)
    """Number of dimensions that they are reduced to."""
    samples_per_class: int = Field(default=300, ge=16)
    """The most training samples of each label, drawn by the seed."""
    clean_samples: int = Field(default=1000, ge=16)
    """The most clean samples that they are compared with."""
    neighbours: int = Field(default=10, ge=1, le=100)
    """Number of clean samples that name the class of a training sample."""
    neurons: int = Field(default=5, ge=0, le=50)
    """Number of neurons that are listed."""


def measure(subject: Subject, options: TrainingSetClustering, run: Run) -> Iterator[Yield]:
    """Yield the split of every label of the training set that has enough samples."""
    from gate.statistics.class_clusters import drawn, listed_neurons, numbers, split_group
    from gate.statistics.clustering import MIN_SAMPLES

    groups = [(group, named) for group, named in _groups(subject, options, run) if len(named) >= MIN_SAMPLES]
    if not groups:
        raise UnexaminableError(f"no label of the training set has the {MIN_SAMPLES} samples that clustering needs")
    for group, named in groups:
        run.check_time()
        found = split_group(group, options, run.seed)
        yield from numbers(found, f"{len(named)} training samples.")
        other = named[found.smaller] != group.location.class_index
        share = float(other.mean()) if len(other) else 0.0
        yield Measurement(metric="exclusive-reclassification", value=share, location=group.location)
        yield from listed_neurons(found)
        yield drawn(found)


def passes(subject: Subject, options: TrainingSetClustering, _run: Run) -> Passes:
    """Return the passes of the clean samples, and of those of the training set."""
    from gate.statistics.activations import passes_of_both

    return passes_of_both(subject, options.clean_samples, options.samples_per_class)


def _groups(subject: Subject, options: TrainingSetClustering, run: Run) -> Iterator[tuple["Group", "Array"]]:
    """Yield each label's activations, and the class of the nearest clean samples by row (N,)."""
    from gate.statistics.activations import activations_of
    from gate.statistics.class_clusters import Group
    from gate.statistics.clustering import nearest_labels
    from gate.statistics.subsets import balanced

    assert subject.classifier is not None
    assert subject.samples is not None
    assert subject.training_set is not None
    if subject.training_set.labels is None:
        raise UnexaminableError("the training set that the run logged has no labels")
    training = balanced(subject.training_set, options.samples_per_class * subject.classifier.num_classes, run.seed)
    samples = balanced(subject.samples, options.clean_samples, run.seed)
    assert training.labels is not None
    logits, clean = activations_of(subject.classifier, samples.inputs, run)
    own = (samples.labels if samples.labels is not None else logits.argmax(dim=1)).cpu().numpy()
    activations = activations_of(subject.classifier, training.inputs, run)[1].cpu().double().numpy()
    named = nearest_labels(clean.cpu().double().numpy(), own, activations, options.neighbours)
    labels = training.labels.cpu().numpy()
    for label in sorted(set(labels.tolist())):
        mask = labels == label
        kinds = ("training",) * int(mask.sum())
        yield Group(Location.of_class(label), activations[mask], kinds), named[mask]


DETECTOR = Detector(
    id="training-set-clustering",
    title="Activation clustering of the training set",
    doing="clusters in the training set",
    needs=Need.MODEL | Need.SAMPLES | Need.TRAINING_SET,
    spaces=EVERY,
    metrics=(
        Metric(
            "silhouette",
            "-1 to 1",
            "higher",
            "How clearly the label's activations split in two clusters.",
            by_class=True,
        ),
        Metric("relative-size", "share", "lower", "Share of the smaller cluster.", by_class=True),
        Metric(
            "exclusive-reclassification",
            "share",
            "higher",
            "Share of the smaller cluster nearer to another class.",
            by_class=True,
        ),
        Metric("neuron-shift", "deviations", "neither", "Standardised difference of a neuron between the clusters."),
    ),
    options=TrainingSetClustering,
    measure=measure,
    passes=passes,
)
