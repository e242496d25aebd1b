"""Synthesises inputs of a class from several random starts and looks for a pattern that comes back.

Measures  agreement: mean correlation between the inputs that different starts arrive at, per class. trigger-overlap:
          correlation of their common part with the inverted trigger, where an earlier stage found one.
Matters   A class is reached by many different images; a planted shortcut draws every start to the same few pixels.
Blind to  Triggers that are no fixed pattern, and classes whose members all look alike, which agree anyway. On small
          digit classifiers planted classes agreed less than natural ones, so agreement judges nothing; the overlap
          tells whether the model's own image of the class contains the inverted trigger.
See       Fredrikson et al., "Model Inversion Attacks that Exploit Confidence Information", CCS 2015.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.declarations import Metric, Options
from gate.records.evidence import Location, Measurement
from gate.records.passes import Passes, Span
from gate.records.run import Run
from gate.spaces.subject import ImageClassifier, Subject, Yield

if TYPE_CHECKING:
    import torch


class ModelInversion(Options):
    """Settings of the synthesis."""

    starts: int = Field(default=4, ge=2, le=64)
    """Number of inputs that are synthesised for each class."""
    steps: int = Field(default=60, ge=1, le=5000)
    """Steps of the synthesis."""
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    """Step size as a share of the input's range."""
    smoothness: float = Field(default=0.05, ge=0)
    """Weight of the total variation, which keeps single pixels from carrying the class."""


def measure(subject: Subject, options: ModelInversion, run: Run) -> Iterator[Yield]:
    """Yield agreement, overlap with the inverted trigger, and the mean synthesised input of each class."""
    from gate.spaces.image.pictures import picture

    classifier = subject.images
    every = tuple(Location.of_class(index) for index in range(classifier.num_classes))
    for location in subject.suspects if subject.suspects is not None else every:
        target = location.class_index
        if target is None:
            continue
        starts, inputs = _synthesise(classifier, target, options, run)
        moves = (inputs - starts).flatten(1)
        yield Measurement(metric="agreement", value=_agreement(moves), location=location)
        trigger = subject.triggers.get(location)
        if trigger is not None and {"mask", "pattern"} <= trigger.tensors.keys():
            mask, pattern = trigger.tensors["mask"], trigger.tensors["pattern"]
            overlap = _overlap(inputs.mean(dim=0), mask, pattern, classifier.bounds)
            yield Measurement(metric="trigger-overlap", value=overlap, location=location)
        caption = f"mean of {options.starts} inputs synthesised for class {target}"
        yield picture(inputs.mean(dim=0), "inversion", classifier.bounds, location, caption)


def passes(subject: Subject, options: ModelInversion, _run: Run) -> Passes:
    """Return the passes of every class's synthesis."""
    assert subject.classifier is not None
    places = subject.classifier.num_classes if subject.suspects is None else len(subject.suspects)
    return Passes(slopes=Span.exactly(places * options.starts * options.steps))


def _synthesise(
    classifier: ImageClassifier, target: int, options: ModelInversion, run: Run
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Return random starts and the inputs that ascent of the class's margin makes of them, (S, C, H, W) each."""
    import torch

    least, greatest = classifier.bounds
    generator = torch.Generator().manual_seed(run.seed + target)
    shape = (options.starts, *classifier.input_shape)
    starts = (least + (greatest - least) * torch.rand(shape, generator=generator)).to(run.device)
    x = starts.clone().requires_grad_()
    optimiser = torch.optim.Adam([x], lr=options.learning_rate * (greatest - least))
    for _ in range(options.steps):
        run.check_time()
        logits = classifier.quick_logits(x)
        others = logits.clone()
        others[:, target] = float("-inf")
        margin = logits[:, target] - others.amax(dim=1)
        # Clamped: beyond a sure decision the picture would only saturate.
        loss = -margin.clamp(max=20.0).sum() + options.smoothness * _variation(x, greatest - least)
        (x.grad,) = torch.autograd.grad(loss, [x])
        optimiser.step()
        with torch.no_grad():
            x.clamp_(least, greatest)
    return starts, x.detach()


def _variation(x: "torch.Tensor", span: float) -> "torch.Tensor":
    """Return the total variation of a batch, in units of the input's range."""
    down = (x[..., 1:, :] - x[..., :-1, :]).abs().sum()
    right = (x[..., :, 1:] - x[..., :, :-1]).abs().sum()
    return (down + right) / span


def _agreement(moves: "torch.Tensor") -> float:
    """Return the mean correlation of the pairs of rows (S, D); rows that did not move agree with nothing."""
    centred = moves - moves.mean(dim=1, keepdim=True)
    unit = centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return float(((unit @ unit.T).sum() - (unit * unit).sum()) / (len(unit) * (len(unit) - 1)))


def _overlap(mean: "torch.Tensor", mask: "torch.Tensor", pattern: "torch.Tensor", bounds: tuple[float, float]) -> float:
    """Return the correlation, under the trigger's mask, of the mean synthesised input with the trigger's pattern."""
    weight = mask.expand_as(mean)
    total = weight.sum().clamp_min(1e-12)
    middle = (bounds[0] + bounds[1]) / 2
    left, right = mean - middle, pattern - middle
    norm = ((weight * left * left).sum() * (weight * right * right).sum()).sqrt().clamp_min(1e-12 * float(total))
    return float((weight * left * right).sum() / norm)


DETECTOR = Detector(
    id="model-inversion",
    title="Model inversion",
    doing="what each class looks like",
    needs=Need.MODEL,
    metrics=(
        Metric(
            "agreement",
            "correlation",
            "higher",
            "Mean correlation between inputs synthesised from random starts.",
            by_class=True,
        ),
        Metric(
            "trigger-overlap",
            "correlation",
            "higher",
            "Agreement of their mean with the inverted trigger.",
            by_class=True,
        ),
    ),
    options=ModelInversion,
    measure=measure,
    passes=passes,
)
