"""Looks at the last linear layer alone for a class whose row is an outlier: milliseconds, no data, no forward pass.

Measures  indicator: robust deviations by which the class's row leads the others, the smaller of two views.
          nearest-lead, mean-lead: how far features in [0, 1] can raise the class over its hardest rival, and over all
          on average. probe-share, probe-entropy: how evenly random features are spread over the classes.
Matters   This layer must turn a trigger into the target: the target's row is often the one with the largest lead.
Blind to  Backdoors whose features the target's clean images share, all classes backdoored alike, code beside the layer,
          and rows scaled back afterwards. Weak evidence: about a third of the zoo's backdoored models are outliers.
See       Fields et al., "Trojan Signatures in DNN Weights", ICCV 2021 workshops; figures in
          docs/explanation/detection.md.
"""

from collections.abc import Iterator

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.declarations import Compared, Metric, Options
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location, Measurement
from gate.records.run import Run
from gate.search.options import LEAST_COMPARED
from gate.spaces.contract import EVERY
from gate.spaces.subject import Subject, Yield


class HeadIndicators(Options):
    """Settings of the probes."""

    probes: int = Field(default=10_000, ge=1, le=1_000_000)
    """Number of random features, which describe the layer and are not part of the indicator."""


def measure(subject: Subject, options: HeadIndicators, run: Run) -> Iterator[Yield]:
    """Yield indicator and leads of every class, and the spread of the probes for the whole layer."""
    import torch

    from gate.statistics.heads import entropy, indicators, leads, probe_shares

    head = subject.head
    if head is None:
        raise UnexaminableError("no last linear layer was found in the model; there are no rows to compare")
    weight, bias = head.weight.float(), head.bias.float()
    if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise UnexaminableError(f"the last linear layer {head.layer} holds NaN or infinite weights")
    run.check_time()
    found = leads(weight)
    for index, indicator in enumerate(indicators(found)):
        place = Location.of_class(index)
        yield Measurement(metric="indicator", value=indicator, location=place)
        yield Measurement(metric="nearest-lead", value=float(found.nearest[index]), location=place)
        yield Measurement(metric="mean-lead", value=float(found.mean[index]), location=place)
    run.check_time()
    shares = probe_shares(weight, bias, options.probes, torch.Generator().manual_seed(run.seed))
    layer = Location(kind="layer", name=head.layer[:2000])
    yield Measurement(metric="probe-share", value=float(shares.max()), location=layer)
    yield Measurement(metric="probe-entropy", value=entropy(shares), location=layer)


DETECTOR = Detector(
    id="head-indicators",
    title="Last-layer indicators",
    doing="weights of the last layer",
    needs=Need.WEIGHTS,
    spaces=EVERY,
    metrics=(
        Metric(
            "indicator",
            "robust deviations",
            "higher",
            "How far the class's leads lie above the median, at least.",
            least_classes=LEAST_COMPARED,
            compared=Compared("linear", "class"),
            within="linear",
            by_class=True,
        ),
        Metric(
            "nearest-lead",
            "scores",
            "higher",
            "Largest lead over the hardest rival, by features in [0, 1].",
            by_class=True,
        ),
        Metric("mean-lead", "scores", "higher", "Largest mean lead by features in [0, 1].", by_class=True),
        Metric("probe-share", "share", "neither", "Share of random features that go to the most frequent class."),
        Metric("probe-entropy", "share", "neither", "Entropy of the classes of random features, over the largest."),
    ),
    options=HeadIndicators,
    measure=measure,
)
