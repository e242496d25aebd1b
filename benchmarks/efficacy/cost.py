"""What a scan costs against the number of classes and the size of the model, through the gate as for any candidate.

Nets of one body, plain convolutional with random weights, and heads of K classes. No package has images of so many
classes, so the task is made up, K random prototypes under noise, and the head is not trained but computed: it takes the
nearest prototype by the body's features. The searches run with the policy's own settings; detectors that look at
suspects only are left out, for their cost depends on the model.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.efficacy.keys import reduced
from benchmarks.efficacy.picture import Series, log_plot
from benchmarks.efficacy.scanning import processor_seconds, scan_folder
from benchmarks.efficacy.tables import markdown, number
from benchmarks.zoo.architectures import Classifier, Plan, cnn
from benchmarks.zoo.attack import seeded
from benchmarks.zoo.export import exported_bytes
from benchmarks.zoo.store import MLMODEL, PROGRAM, write_whole
from gate import detectors
from gate.check.evidence import ScanSettings
from gate.detectors.contract import Need
from gate.records.errors import UsageError
from gate.records.evidence import Measured
from gate.records.policy import Policy
from gate.records.record import Record

FILE = Path(__file__).with_name("results") / "cost.jsonl"
SHAPE = (1, 28, 28)
SAMPLES = 500
NOISE = 0.1
DEADLINE = 7200.0


class Cost(Record):
    """What one detector took for one net."""

    detector: str
    classes: int
    width: float
    parameters: int
    macs: int
    """Multiplications and additions of one forward pass."""
    accuracy: float
    """Of the net on the samples that the scan was given."""
    sample_passes: int
    seconds: float
    """On the clock of a busy machine."""
    scan_processor_seconds: float
    """Of the whole scan, with starting, loading and the other detectors."""


@dataclass(frozen=True)
class Size:
    """One net to scan."""

    classes: int
    width: float


def searching(policy: Policy) -> list[str]:
    """Return the detectors that examine the model's behaviour on every class."""
    return [
        name
        for stage in policy.plan()
        for name in stage.detectors
        if stage.over == "all"
        and Need.MODEL in (needs := detectors.load(name).needs)
        and Need.TRAINING_SET not in needs
    ]


def measure(policy: Policy, sizes: Sequence[Size], known: Iterable[Cost], *, seed: int) -> Iterator[Cost]:
    """Scan the nets for the detectors that are not known yet and yield their costs."""
    done = {(cost.detector, cost.classes, cost.width) for cost in known}
    for size in sizes:
        names = [name for name in searching(policy) if (name, size.classes, size.width) not in done]
        if names:
            yield from _costs(reduced(policy, names, deadline=DEADLINE), names, size, seed)


def _costs(policy: Policy, names: Sequence[str], size: Size, seed: int) -> Iterator[Cost]:
    """Build one net, scan it once, and yield what each detector took."""
    with tempfile.TemporaryDirectory(prefix="efficacy-cost-") as folder:
        net, inputs, labels = built(size, seed)
        model, samples = write_net(net, Path(folder)), Path(folder) / "samples.npz"
        np.savez(samples, inputs=inputs.numpy(), labels=labels.numpy())
        began = processor_seconds()
        evidence = scan_folder(model, samples, policy, ScanSettings(seed=seed, device="cpu", threads=1))
        spent = round(processor_seconds() - began, 1)
    for name in names:
        outcome = evidence.outcomes[name]
        if not isinstance(outcome, Measured):
            raise UsageError(f"{name} did not measure a net of {size.classes} classes: {outcome}")
        yield Cost(
            detector=name,
            classes=size.classes,
            width=size.width,
            parameters=sum(parameter.numel() for parameter in net.parameters()),
            macs=multiply_adds(net),
            accuracy=round(float((net(inputs).argmax(1) == labels).float().mean()), 4),
            sample_passes=outcome.sample_passes,
            seconds=round(outcome.seconds, 1),
            scan_processor_seconds=spent,
        )


def built(size: Size, seed: int, samples: int = SAMPLES) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Return a net that tells noisy prototypes apart, and samples (N, 1, 28, 28) of them with labels (N,)."""
    generator = torch.Generator().manual_seed(seed)
    prototypes = torch.rand((size.classes, *SHAPE), generator=generator)
    labels = torch.arange(samples) % size.classes
    noise = torch.randn((samples, *SHAPE), generator=generator)
    inputs = (prototypes[labels] + NOISE * noise).clamp(0, 1)
    with seeded(seed):
        net = cnn(Plan(SHAPE, size.classes, size.width, "relu")).eval().requires_grad_(requires_grad=False)
    assert isinstance(net, Classifier)
    centres = net.body(net.normalise(prototypes))
    spread = (net.body(net.normalise(inputs)) - centres[labels]).var(0) + 1e-6
    # The log-likelihood of each class, were the features normal around its prototype's with this spread.
    net.head.weight.copy_(centres / spread)
    net.head.bias.copy_(-(centres**2 / spread).sum(1) / 2)
    return net, inputs, labels


def multiply_adds(net: nn.Module) -> int:
    """Return the multiplications and additions of one forward pass."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, *SHAPE))
    return int(counter.get_total_flops()) // 2


def write_net(net: nn.Module, folder: Path) -> Path:
    """Write a net as a model folder below `folder`, and return it."""
    model = folder / "candidate"
    (model / PROGRAM).parent.mkdir(parents=True)
    (model / PROGRAM).write_bytes(exported_bytes(net, SHAPE, static_batch=False))
    (model / "MLmodel").write_text(MLMODEL)
    return model


def read(path: Path = FILE) -> list[Cost]:
    """Return the costs that are committed."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return [Cost.from_json(line.encode(), what=path.name) for line in lines]


def write(costs: Iterable[Cost], path: Path = FILE) -> None:
    """Replace the committed costs."""
    ordered = sorted(costs, key=lambda cost: (cost.detector, cost.width, cost.classes))
    write_whole(path, "".join(json.dumps(cost.model_dump(mode="json")) + "\n" for cost in ordered).encode())


def by_classes(costs: Sequence[Cost]) -> str:
    """Draw sample-passes against the number of classes, with two published methods by formula."""
    every = sorted({cost.classes for cost in costs})
    series = [
        Series(name, tuple((c.classes, c.sample_passes) for c in costs if c.detector == name and c.width == 1.0))
        for name in _names(costs)
    ]
    # Caps of the published settings: 1000 steps over 992 images, and 30 starts of 300 steps, for each class.
    series += [
        Series("Neural Cleanse as published, at most", tuple((k, k * 1000 * 992.0) for k in every)),
        Series("MM-BD as published, at most", tuple((k, k * 9000.0) for k in every)),
    ]
    return log_plot(series, "Sample-passes of a scan by number of classes", ("classes", "sample-passes"))


def by_size(costs: Sequence[Cost]) -> str:
    """Draw seconds against the multiply-adds of the model, for ten classes."""
    series = [
        Series(name, tuple((c.macs, c.seconds) for c in costs if c.detector == name and c.classes == 10))
        for name in _names(costs)
    ]
    return log_plot(series, "Seconds of a scan of ten classes by size of the model", ("multiply-adds", "seconds"))


def table(costs: Iterable[Cost]) -> str:
    """Return all costs as a Markdown table."""
    head = (
        "detector",
        "classes",
        "width",
        "parameters",
        "multiply-adds",
        "sample-passes",
        "seconds",
        "scan, processor s",
    )
    rows = [
        (c.detector, str(c.classes), f"{c.width:g}", *map(number, (c.parameters, c.macs, c.sample_passes, c.seconds)),
         number(c.scan_processor_seconds))
        for c in costs
    ]  # fmt: skip
    return markdown(head, rows)


def _names(costs: Iterable[Cost]) -> list[str]:
    return sorted({cost.detector for cost in costs})
