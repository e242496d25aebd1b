"""Applies random triggers of every family to clean samples and counts where they go: forward passes alone.

Measures  patch-share, wave-share, blend-share, warp-share, tone-share: the share of other classes' samples that random
          triggers of a family send to each class, as the mean of the quarter of them that moves most.
Matters   A planted rule reaches further than its trigger: what resembles it by chance goes to its target as well. This
          needs no successful search, and shows sinusoids, warps and natural features that searches miss.
Blind to  Without references of the same task, nearly everything: in every model some class attracts unclear samples.
          Triggers unlike all that are drawn, payloads behind exact thresholds, rules for a single source class.
See       Related: Gao et al., "STRIP", ACSAC 2019; Kolouri et al., "Universal Litmus Patterns", CVPR 2020. Figures in
          docs/explanation/detection.md.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.declarations import Compared, Metric, Options
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement
from gate.records.run import Run
from gate.spaces.image.triggers import drawn_families
from gate.spaces.subject import Subject, Yield

if TYPE_CHECKING:
    import torch

    from gate.spaces.contract import Apply
    from gate.spaces.subject import Classifier

LEAST_SIDE = 4
"""Fewest pixels of a side; in a smaller image, a patch is the whole image."""
FLOOR = 0.005
"""Added to every share, because below it shares differ by single samples."""


class RandomTriggers(Options):
    """Numbers of triggers and of samples."""

    triggers: int = Field(default=40, ge=4, le=10_000)
    """Number of random triggers of each family."""
    clean_samples: int = Field(default=60, ge=2)


def measure(subject: Subject, options: RandomTriggers, run: Run) -> Iterator[Yield]:
    """Yield the share of every family and class."""
    from gate.search.goals import varied_predictions
    from gate.spaces.image.drawing import draw
    from gate.statistics.subsets import balanced

    assert subject.classifier is not None
    assert subject.samples is not None
    classifier = subject.classifier
    if min(classifier.input_shape[1:]) < LEAST_SIDE:
        raise UnexaminableError(f"inputs are smaller than {LEAST_SIDE} × {LEAST_SIDE}; no trigger would be small there")
    inputs = balanced(subject.samples, options.clean_samples, run.seed).inputs
    own = varied_predictions(classifier, inputs, run)
    most = max(1, options.triggers // 4)
    families = drawn_families()
    for number, family in enumerate(families):
        run.progress(number, len(families))
        drawn = draw(family, classifier.input_shape, classifier.bounds, options.triggers, run.seed)
        found = _shares(classifier, inputs, own, drawn, run).topk(most, dim=0).values.mean(dim=0)
        for index, share in enumerate(found.tolist()):
            yield Measurement(metric=f"{family.id}-share", value=FLOOR + share, location=Location.of_class(index))
    run.progress(len(families), len(families))


def _shares(
    classifier: "Classifier", inputs: "torch.Tensor", own: "torch.Tensor", triggers: "Iterator[Apply]", run: Run
) -> "torch.Tensor":
    """Return for each trigger the share of other classes' samples that it sends to each class, (T, K).

    `inputs` (N, C, H, W) are raw, `own` (N,) the classes that the model gives them; N - n_k samples can go to class k.
    """
    import torch
    from torch.nn import functional

    from gate.search.goals import predictions

    others = functional.one_hot(own, classifier.num_classes).logical_not().float()
    rows = []
    for apply in triggers:
        run.check_time()
        answers = predictions(classifier, apply(inputs), run)
        moved = functional.one_hot(answers, classifier.num_classes).float() * others
        rows.append(moved.sum(dim=0) / others.sum(dim=0).clamp(min=1))
    return torch.stack(rows)


DETECTOR = Detector(
    id="random-triggers",
    title="Answers to random triggers",
    doing="answers to random triggers",
    needs=Need.MODEL | Need.SAMPLES,
    metrics=tuple(
        Metric(
            f"{one.id}-share",
            "share",
            "higher",
            f"Share of other classes' samples that {one.noun} send to the class.",
            compared=Compared("log", "class"),
        )
        for one in drawn_families()
    ),
    options=RandomTriggers,
    measure=measure,
)
