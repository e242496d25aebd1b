"""Two versions of a model side by side: their layers' spectra, their weights, and their answers on the same samples."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch

from gate.programs.layers import Layer, difference_in_architecture, layers_of
from gate.records.errors import GateError, UnexaminableError
from gate.records.run import Run
from gate.spaces.subject import Classifier, Previous, Samples, Version
from gate.statistics.probe_gains import Gain, Probes, gains
from gate.statistics.spectra import Moments, channel_rows, log_distance
from gate.statistics.weight_changes import WeightChange, class_shares, weight_change


class NotFiniteError(GateError):
    """A version yields NaN or infinite values on clean samples or under a probe."""


@dataclass(frozen=True)
class Look:
    """A version, and what it does on the samples."""

    version: Version
    answers: torch.Tensor
    """First choices (N,) on the samples, on the CPU."""
    probed: torch.Tensor
    """Numbers of samples that each probe sends to each class, (P, K)."""
    spectra: Mapping[Layer, torch.Tensor]
    """Shares of the variance by direction (c,) of each layer's pre-activations, in the order of the graph."""


@dataclass(frozen=True)
class LayerChange:
    """What changed in one layer."""

    distance: float
    """Between the spectra, in nats."""
    weight: WeightChange


@dataclass(frozen=True)
class Change:
    """What changed from one version to the next."""

    other: str
    """Where the architectures differ; the layers are then not compared. Empty where they are the same."""
    layers: Mapping[str, LayerChange]
    """Changes by the weight's name in the newer version."""
    head: torch.Tensor | None
    """Each class's share of the change in the last layer (K,)."""
    moved: torch.Tensor
    """Shares of the samples that go to each class by the newer version alone, (K,)."""
    gains: tuple[Gain, ...]
    """How much more probes send to each class; none where there are no probes."""

    @property
    def disagreement(self) -> float:
        """Share of clean samples to which the two give different answers."""
        return float(self.moved.sum())


@dataclass(frozen=True)
class Asked:
    """The samples that versions are compared on, and how closely their layers are looked at."""

    samples: Samples
    channels: int
    """The most channels of a layer that count, drawn by the run's seed."""
    probes: Probes | None
    """What is asked beside the samples; None where images are too small for it."""


def look(version: Version, asked: Asked, run: Run) -> Look:
    """Run one version on all samples and probes; NaN or infinite values are a `NotFiniteError`."""
    classifier = version.classifier
    answers = _answers(classifier, asked.samples.inputs, run)
    return Look(version, answers, _probed(classifier, asked.probes, run), _spectra(version, asked, run))


def _probed(classifier: Classifier, probes: Probes | None, run: Run) -> torch.Tensor:
    if probes is None:
        return torch.zeros(0, classifier.num_classes, dtype=torch.long)
    # Applied to all samples at once, since a mixture takes its partners from them.
    answers = [_answers(classifier, apply(probes.samples.inputs), run) for apply in probes.applied]
    return probes.counts(torch.stack(answers), classifier.num_classes)


def _answers(classifier: Classifier, inputs: torch.Tensor, run: Run) -> torch.Tensor:
    found = []
    for chunk in torch.split(inputs, run.max_batch):
        run.check_time()
        with torch.no_grad():
            logits = classifier.logits(chunk)
        if not torch.isfinite(logits).all():
            raise NotFiniteError("it yields NaN or infinite scores on clean samples or under a probe")
        found.append(logits.argmax(dim=1).cpu())
    return torch.cat(found)


def _spectra(version: Version, asked: Asked, run: Run) -> dict[Layer, torch.Tensor]:
    layers = layers_of(version.program) if version.program is not None else ()
    moments = {layer: Moments() for layer in layers}
    for chunk in torch.split(asked.samples.inputs, run.max_batch):
        if not layers:
            break
        run.check_time()
        with torch.no_grad():
            values = version.values(chunk, [layer.node for layer in layers])
        for layer, found in moments.items():
            value = values[layer.node]
            found.add(channel_rows(value, layer.axis, _drawn(value.shape[layer.axis], asked.channels, run.seed)))
    return {layer: _finite(found.spectrum, layer) for layer, found in moments.items()}


def _drawn(count: int, most: int, seed: int) -> torch.Tensor:
    """Return at most `most` of `count` indices in rising order, the same ones for every version."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:most].sort().values


def _finite(measure: Callable[[], torch.Tensor], layer: Layer) -> torch.Tensor:
    try:
        return measure()
    except ValueError as error:
        raise NotFiniteError(f"the layer {layer.weight}: {error}") from None


def change(old: Look, new: Look, asked: Asked, run: Run) -> Change:
    """Compare two versions; their layers and weights only where they have one architecture."""
    one, other = old.version, new.version
    differ = _differ(one, other)
    heads = one.head, other.head
    return Change(
        other=differ,
        layers={} if differ else dict(_layers(old, new, asked, run)),
        head=None if differ or heads[0] is None or heads[1] is None else class_shares(heads[0].weight, heads[1].weight),
        moved=moved(old.answers, new.answers, other.classifier.num_classes),
        gains=() if asked.probes is None else gains(old.probed, new.probed, asked.probes),
    )


def _differ(one: Version, other: Version) -> str:
    if one.program is None or other.program is None:
        return "one of them brings no graph of its own"
    return difference_in_architecture(one.program, other.program)


def _layers(old: Look, new: Look, asked: Asked, run: Run) -> Iterable[tuple[str, LayerChange]]:
    before, after = _weights(old.version), _weights(new.version)
    for (layer, spectrum), (newer, other) in zip(old.spectra.items(), new.spectra.items(), strict=True):
        run.check_time()
        weights = before[layer.weight], after[newer.weight]
        if not layer.rows_are_channels:
            weights = weights[0].movedim(-1, 0), weights[1].movedim(-1, 0)
        rows = _drawn(len(weights[0]), asked.channels, run.seed)
        try:
            found = weight_change(*weights, rows)
        except ValueError as error:
            raise NotFiniteError(f"the layer {newer.weight}: {error}") from None
        yield newer.weight, LayerChange(log_distance(spectrum, other), found)


def _weights(version: Version) -> Mapping[str, torch.Tensor]:
    assert version.program is not None
    return {**version.program.constants, **version.program.buffers, **version.program.parameters}


def history(previous: Previous, serving: Look, asked: Asked, run: Run) -> Iterator[Change]:
    """Yield the changes between approved versions that follow each other and have one architecture, the oldest first.

    A version that cannot be run is passed over. Two versions are held at a time, beside the one that serves.
    """
    before: Look | None = None
    for opened in previous.approved:
        version = opened()
        spent = version.classifier.sample_passes
        try:
            now = serving if version is previous.serving else look(version, asked, run)
        except (NotFiniteError, UnexaminableError):
            continue
        finally:
            previous.closed.append(version.classifier.sample_passes - spent)
        found = change(before, now, asked, run) if before is not None else None
        if found is not None and not found.other:
            yield found
        before = now


def moved(old: torch.Tensor, new: torch.Tensor, classes: int) -> torch.Tensor:
    """Return the shares of samples that go to each class by the newer answers alone, (K,), of answers (N,)."""
    return torch.bincount(new[old != new], minlength=classes) / len(new)
