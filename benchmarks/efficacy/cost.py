"""What a scan costs against the number of classes and the size of the model, through the gate as for any candidate.

Nets of one body, plain convolutional with random weights, and heads of K classes: what is searched for is not there,
so no class is a suspect, and the cost is that of the detectors that look at everything. Each net is scanned twice with
few steps of every search; cost is linear in the steps, so that two scans say what the policy's own number would cost.
"""

import json
import resource
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.efficacy.keys import reduced
from benchmarks.efficacy.picture import Series, log_plot
from benchmarks.efficacy.scanning import processor_seconds, scan_folder
from benchmarks.efficacy.subjects import MLMODEL, PROGRAM
from benchmarks.zoo.architectures import Plan, cnn
from benchmarks.zoo.attack import seeded
from benchmarks.zoo.export import exported_bytes
from benchmarks.zoo.store import write_whole
from gate import detectors
from gate.detector import Need
from gate.errors import UsageError
from gate.evidence import Measured
from gate.pipeline import ScanSettings
from gate.policy import Policy
from gate.record import Record

FILE = Path(__file__).with_name("results") / "cost.jsonl"
SHAPE = (1, 28, 28)
SAMPLES = 200
STEPS = (2, 4)


class Cost(Record):
    """One net's scan by one detector, at the policy's own number of steps."""

    detector: str
    classes: int
    width: float
    parameters: int
    macs: int
    """Multiplications and additions of one forward pass."""
    steps: int
    """Of the policy; the scans took fewer."""
    measured_passes: tuple[int, int]
    """With two and with four steps."""
    sample_passes: float
    """Projected to the policy's steps."""
    measured_seconds: tuple[float, float]
    seconds: float
    """Projected; on the clock of a busy machine."""
    processor_seconds: tuple[float, float]
    """Of the two whole scans, with starting and loading."""
    peak_mib: float
    """The largest memory of any worker so far."""


@dataclass(frozen=True)
class Size:
    """One net to scan."""

    classes: int
    width: float


def searching(policy: Policy) -> dict[str, int]:
    """Return the detectors that search every class of a model in steps, with the policy's number of steps."""
    found = {}
    for stage in policy.plan():
        for name in stage.detectors:
            detector = detectors.load(name)
            options = detector.options.model_validate(dict(policy.options_of(name)))
            if stage.over == "all" and Need.MODEL in detector.needs and hasattr(options, "steps"):
                found[name] = int(options.steps)
    return found


def measure(policy: Policy, sizes: Sequence[Size], known: Iterable[Cost], *, seed: int) -> Iterator[Cost]:
    """Scan the nets that are not known yet and yield their costs, detector by detector."""
    done = {(cost.detector, cost.classes, cost.width) for cost in known}
    for size in sizes:
        for name, steps in searching(policy).items():
            if (name, size.classes, size.width) not in done:
                yield _cost(policy, name, steps, size, seed)


def _cost(policy: Policy, name: str, steps: int, size: Size, seed: int) -> Cost:
    with tempfile.TemporaryDirectory(prefix="efficacy-cost-") as folder:
        model, parameters, macs = _write_net(size, Path(folder) / "candidate", seed)
        samples = _write_samples(size, Path(folder) / "samples.npz", seed)
        scans = [_scan(policy, name, few, model, samples, seed) for few in STEPS]
    (passes, seconds), (more_passes, more_seconds) = ((outcome.sample_passes, outcome.seconds) for outcome, _ in scans)
    low, high = STEPS
    return Cost(
        detector=name,
        classes=size.classes,
        width=size.width,
        parameters=parameters,
        macs=macs,
        steps=steps,
        measured_passes=(passes, more_passes),
        sample_passes=passes + (more_passes - passes) / (high - low) * (steps - low),
        measured_seconds=(round(seconds, 2), round(more_seconds, 2)),
        seconds=round(max(0.0, seconds + (more_seconds - seconds) / (high - low) * (steps - low)), 1),
        processor_seconds=(round(scans[0][1], 1), round(scans[1][1], 1)),
        peak_mib=round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
    )


def _scan(policy: Policy, name: str, steps: int, model: Path, samples: Path, seed: int) -> tuple[Measured, float]:
    """Return one detector's outcome with so many steps, and the processor time of the scan's workers."""
    part = reduced(policy, [name], deadline=3600)
    values = part.model_dump()
    values["detectors"][name]["options"]["steps"] = steps
    began = processor_seconds()
    settings = ScanSettings(seed=seed, device="cpu", threads=1)
    outcome = scan_folder(model, samples, Policy.model_validate(values), settings).outcomes[name]
    if not isinstance(outcome, Measured):
        raise UsageError(f"{name} did not measure the net: {outcome}")
    return outcome, processor_seconds() - began


def _write_net(size: Size, folder: Path, seed: int) -> tuple[Path, int, int]:
    """Write an untrained net as a model folder, and return it with its parameters and multiply-adds."""
    with seeded(seed):
        net = cnn(Plan(SHAPE, size.classes, size.width, "relu")).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, *SHAPE))
    (folder / PROGRAM).parent.mkdir(parents=True)
    (folder / PROGRAM).write_bytes(exported_bytes(net, SHAPE, static_batch=False))
    (folder / "MLmodel").write_text(MLMODEL)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return folder, parameters, int(counter.get_total_flops()) // 2


def _write_samples(size: Size, path: Path, seed: int) -> Path:
    """Write random images with labels that go round the classes."""
    rng = np.random.default_rng(seed)
    inputs = rng.random((SAMPLES, *SHAPE), dtype=np.float32)
    np.savez(path, inputs=inputs, labels=np.arange(SAMPLES) % size.classes)
    return path


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
        Series(name, tuple((cost.classes, cost.sample_passes) for cost in costs if _is(cost, name, width=1.0)))
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
        Series(name, tuple((cost.macs, cost.seconds) for cost in costs if cost.detector == name and cost.classes == 10))
        for name in _names(costs)
    ]
    return log_plot(series, "Seconds of a scan of ten classes by size of the model", ("multiply-adds", "seconds"))


def _names(costs: Sequence[Cost]) -> list[str]:
    return sorted({cost.detector for cost in costs})


def _is(cost: Cost, name: str, *, width: float) -> bool:
    return cost.detector == name and cost.width == width
