"""Clusters the penultimate activations of one class to see whether two different causes lead to it.

Measures  silhouette: how clearly the class's activations part in two. relative-size: share of the smaller part.
          trigger-share: how much of the smaller part carries the trigger. neuron-shift: the neurons that differ most.
Matters   In the training set (audit), poisoned samples of a class form their own cluster: that alone is evidence of
          poisoning. On clean samples with and without an inverted trigger (confirm), a clear split says that the
          trigger reaches the class by other neurons than the class's own features; it confirms a suspect, no more.
Blind to  Clean-label poison, which shares the class's features; poison too rare to form a cluster; in confirm mode,
          whether the trigger was planted or is a natural weakness.
See       Chen et al., "Detecting Backdoor Attacks by Activation Clustering", SafeAI 2019.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from gate.detector import Detector, Metric, Need, Options, Run, Yield
from gate.evidence import Location, Measurement, Point, Projection
from gate.subject import Classifier, Samples, Subject, Trigger

if TYPE_CHECKING:
    import torch

    from gate.numerics.clustering import Array, Clusters


class ActivationClustering(Options):
    """How activations are reduced and split."""

    mode: Literal["confirm", "audit"] = "confirm"
    """Clean and triggered samples of each suspect, or every class of the logged training set."""
    reduction: Literal["pca", "t-sne"] = "pca"
    dimensions: int = Field(default=10, ge=1, le=100)
    clean_samples: int = Field(default=500, ge=16)
    neurons: int = Field(default=5, ge=0, le=50)
    """How many hijacked candidates are listed."""


@dataclass(frozen=True)
class _Group:
    """Activations (N, D) of one class and, by row, whether a trigger was on the input."""

    location: Location
    activations: "Array"
    triggered: "Array"


def measure(subject: Subject, options: ActivationClustering, run: Run) -> Iterator[Yield]:
    """Yield the split of each suspect (confirm) or of each class of the training set (audit)."""
    groups = _confirm(subject, options, run) if options.mode == "confirm" else _audit(subject, options, run)
    for group in groups:
        run.check_time()
        yield from _measure_group(group, options, run)


def _confirm(subject: Subject, options: ActivationClustering, run: Run) -> Iterator[_Group]:
    """Yield clean samples that the model gives a suspect's class, with triggered samples that it gives the same."""
    from gate.errors import UnexaminableError
    from gate.numerics.subsets import balanced

    assert subject.classifier is not None
    assert subject.samples is not None
    samples = balanced(subject.samples, options.clean_samples, run.seed)
    logits, activations = _activations(subject.classifier, samples.inputs, run)
    predicted = logits.argmax(dim=1)
    for location in subject.suspects if subject.suspects is not None else tuple(subject.triggers):
        trigger, target = subject.triggers.get(location), location.class_index
        if trigger is None or target is None:
            raise UnexaminableError(f"no earlier stage inverted a trigger for {location}")
        own = activations[predicted == target]
        other = samples.inputs[predicted != target]
        moved = _moved(subject.classifier, trigger, other, target, run)
        yield _group(location, own, moved)


def _moved(classifier: Classifier, trigger: Trigger, inputs: "torch.Tensor", target: int, run: Run) -> "torch.Tensor":
    """Return the activations of those inputs that the trigger sends to the target."""
    logits, activations = _activations(classifier, trigger.apply(inputs), run)
    return activations[logits.argmax(dim=1) == target]


def _audit(subject: Subject, options: ActivationClustering, run: Run) -> Iterator[_Group]:
    """Yield the training samples of every label."""
    from gate.errors import UnexaminableError
    from gate.numerics.subsets import balanced

    assert subject.classifier is not None
    training: Samples | None = subject.training_set
    if training is None or training.labels is None:
        raise UnexaminableError("audit mode needs the labelled training set, and the run logged none")
    samples = balanced(training, options.clean_samples * subject.classifier.num_classes, run.seed)
    assert samples.labels is not None
    _, activations = _activations(subject.classifier, samples.inputs, run)
    for label in sorted(set(samples.labels.tolist())):
        own = activations[samples.labels == label]
        yield _group(Location.of_class(int(label)), own, own[:0])


def _activations(classifier: Classifier, inputs: "torch.Tensor", run: Run) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Return logits (N, K) and penultimate activations (N, D) in bounded batches."""
    import torch

    logits, activations = [], []
    with torch.no_grad():
        for chunk in torch.split(inputs, run.max_batch):
            run.check_time()
            some_logits, some_activations = classifier.activations(chunk)
            logits.append(some_logits)
            activations.append(some_activations)
    return torch.cat(logits), torch.cat(activations)


def _group(location: Location, clean: "torch.Tensor", triggered: "torch.Tensor") -> _Group:
    """Join clean and triggered activations, at most as many triggered as clean so that neither drowns the other."""
    import numpy as np

    most = max(len(clean), 16)
    rows = np.concatenate([clean.cpu().double().numpy(), triggered[:most].cpu().double().numpy()])
    return _Group(location, rows, np.arange(len(rows)) >= len(clean))


def _measure_group(group: _Group, options: ActivationClustering, run: Run) -> Iterator[Yield]:
    from gate.errors import UnexaminableError
    from gate.numerics.clustering import MIN_SAMPLES, reduce, split

    if len(group.activations) < MIN_SAMPLES:
        raise UnexaminableError(
            f"{group.location} has {len(group.activations)} samples that reach it; clustering needs {MIN_SAMPLES}"
        )
    points = reduce(group.activations, options.dimensions, options.reduction, run.seed)
    clusters = split(points, run.seed)
    note = (
        f"DBSCAN finds {clusters.density_clusters} clusters and calls {clusters.density_noise:.0%} noise; "
        f"{int((~group.triggered).sum())} clean and {int(group.triggered.sum())} triggered samples."
    )
    yield Measurement(metric="silhouette", value=clusters.silhouette, location=group.location, note=note)
    yield Measurement(metric="relative-size", value=clusters.relative_size, location=group.location)
    smaller = clusters.labels == 1
    share = float(group.triggered[smaller].mean()) if smaller.any() else 0.0
    yield Measurement(metric="trigger-share", value=share, location=group.location)
    yield from _neurons(group, clusters, options)
    yield _projection(group, clusters, points, options)


def _neurons(group: _Group, clusters: "Clusters", options: ActivationClustering) -> Iterator[Measurement]:
    """Yield the neurons that differ most between the smaller and the larger cluster."""
    import numpy as np

    from gate.numerics.clustering import neuron_shifts

    second = clusters.labels == 1
    if second.all() or not second.any():
        return
    shifts = neuron_shifts(group.activations, second)
    for neuron in np.argsort(-np.abs(shifts), kind="stable")[: options.neurons]:
        yield Measurement(
            metric="neuron-shift",
            value=float(shifts[neuron]),
            location=Location(kind="neuron", name=str(int(neuron))),
            note=f"a hijacked candidate of {group.location}",
        )


def _projection(group: _Group, clusters: "Clusters", points: Any, options: ActivationClustering) -> Projection:
    """Return the first two reduced dimensions of at most 600 samples, for the report's plot."""
    every = max(1, -(-len(points) // 600))
    flat = points if points.shape[1] > 1 else points.repeat(2, axis=1)
    return Projection(
        location=group.location,
        method=f"{options.reduction}, first two dimensions",
        points=tuple(
            Point(
                x=float(x),
                y=float(y),
                group="triggered" if triggered else ("training" if options.mode == "audit" else "clean"),
                cluster=int(cluster),
            )
            for (x, y), triggered, cluster in zip(
                flat[::every, :2], group.triggered[::every], clusters.labels[::every], strict=True
            )
        ),
    )


DETECTOR = Detector(
    id="activation-clustering",
    title="Activation clustering",
    needs=Need.MODEL | Need.SAMPLES,
    metrics=(
        Metric("silhouette", "-1 to 1", "higher", "How clearly the class's activations part in two clusters."),
        Metric("relative-size", "share", "lower", "Share of the smaller cluster."),
        Metric("trigger-share", "share", "higher", "Share of the smaller cluster that carries the inverted trigger."),
        Metric("neuron-shift", "deviations", "neither", "Standardised difference of a neuron between the clusters."),
    ),
    options=ActivationClustering,
    measure=measure,
)
