"""Clusters the penultimate activations of one class to see whether two different causes lead to it.

Measures  silhouette: how clearly the class's activations split in two. relative-size: share of the smaller cluster.
          trigger-share: share of it that carries the trigger. neuron-shift: the neurons that differ most.
Matters   On clean samples with and without an inverted trigger, a clear split shows that the trigger reaches the class
          by other neurons than the class's own features. That only confirms a suspect. For the training data see
          `training-set-clustering` and `spectral-signature`, which need a logged training set.
Blind to  Whether the trigger was planted or is a natural weakness; classes that no earlier stage named.
See       Chen et al., "Detecting Backdoor Attacks by Activation Clustering", SafeAI 2019.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.declarations import Metric, Options
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement
from gate.records.passes import Passes, Span
from gate.records.run import Run
from gate.spaces.subject import Subject, Yield

if TYPE_CHECKING:
    import torch

    from gate.statistics.class_clusters import Group, Split


class ActivationClustering(Options):
    """Settings of reducing and splitting activations."""

    reduction: Literal["pca", "t-sne"] = "pca"
    """How activations are reduced before they are split."""
    dimensions: int = Field(default=10, ge=1, le=100)
    """Number of dimensions that they are reduced to."""
    clean_samples: int = Field(default=300, ge=16)
    """The most clean samples whose activations are split."""
    neurons: int = Field(default=5, ge=0, le=50)
    """Number of neurons that are listed."""


def measure(subject: Subject, options: ActivationClustering, run: Run) -> Iterator[Yield]:
    """Yield the split of each suspect's clean and triggered samples."""
    from gate.statistics.class_clusters import drawn, listed_neurons, numbers, split_group

    for group in _groups(subject, options, run):
        run.check_time()
        found = split_group(group, options, run.seed)
        triggered = group.kinds.count("triggered")
        yield from numbers(found, f"{len(group.kinds) - triggered} clean and {triggered} triggered samples.")
        yield Measurement(metric="trigger-share", value=_trigger_share(found), location=group.location)
        yield from listed_neurons(found)
        yield drawn(found)


def passes(subject: Subject, options: ActivationClustering, _run: Run) -> Passes:
    """Return the passes of the clean samples, and of those under each suspect's trigger."""
    assert subject.samples is not None
    samples = min(options.clean_samples, len(subject.samples.inputs))
    places = subject.triggers if subject.suspects is None else subject.suspects
    return Passes(Span(samples, samples * (1 + len(places))), alone=False)


def _groups(subject: Subject, options: ActivationClustering, run: Run) -> Iterator["Group"]:
    """Yield for each suspect the clean and the triggered samples that the model puts into its class."""
    from gate.statistics.activations import activations_of
    from gate.statistics.subsets import balanced

    assert subject.classifier is not None
    assert subject.samples is not None
    samples = balanced(subject.samples, options.clean_samples, run.seed)
    logits, activations = activations_of(subject.classifier, samples.inputs, run)
    predicted = logits.argmax(dim=1)
    for location in subject.suspects if subject.suspects is not None else tuple(subject.triggers):
        trigger, target = subject.triggers.get(location), location.class_index
        if trigger is None or target is None:
            raise UnexaminableError(f"no earlier stage inverted a trigger for {location}")
        triggered = trigger.apply(samples.inputs[predicted != target])
        answers, moved = activations_of(subject.classifier, triggered, run)
        yield _group(location, activations[predicted == target], moved[answers.argmax(dim=1) == target])


def _group(location: Location, clean: "torch.Tensor", triggered: "torch.Tensor") -> "Group":
    """Join clean activations and at most as many triggered ones, or 16 if there are few."""
    import numpy as np

    from gate.statistics.class_clusters import Group

    triggered = triggered[: max(len(clean), 16)]
    rows = np.concatenate([clean.cpu().double().numpy(), triggered.cpu().double().numpy()])
    return Group(location, rows, ("clean",) * len(clean) + ("triggered",) * len(triggered))


def _trigger_share(found: "Split") -> float:
    """Return the share of the smaller cluster that carries the trigger; 0 with a single cluster."""
    kinds = [kind for kind, small in zip(found.group.kinds, found.smaller, strict=True) if small]
    return kinds.count("triggered") / len(kinds) if kinds else 0.0


DETECTOR = Detector(
    id="activation-clustering",
    title="Activation clustering",
    doing="clusters within each class",
    needs=Need.MODEL | Need.SAMPLES,
    metrics=(
        Metric(
            "silhouette",
            "-1 to 1",
            "higher",
            "How clearly the class's activations split in two clusters.",
            by_class=True,
        ),
        Metric("relative-size", "share", "lower", "Share of the smaller cluster.", by_class=True),
        Metric(
            "trigger-share",
            "share",
            "higher",
            "Share of the smaller cluster that carries the inverted trigger.",
            by_class=True,
        ),
        Metric("neuron-shift", "deviations", "neither", "Standardised difference of a neuron between the clusters."),
    ),
    options=ActivationClustering,
    measure=measure,
    passes=passes,
)
