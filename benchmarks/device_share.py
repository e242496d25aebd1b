"""Which share of a device's measured peak the search for patches reaches, and which ways of computing would pay.

    python -m benchmarks.device_share [--device cuda] [--classes 100] [--width 8] [--steps 100]

One made-up net (`benchmarks/efficacy/cost.py`), one search, the same seed, for each way in turn: as the gate computes
today, with products in TF32, with channels last, in bfloat16, and with forward and backward captured as a CUDA graph
for each shape of batch. Operations are counted (torch's flop counter, forward, and backward to the input alone); the
peak is that of a large product of matrices in the same precision, measured in the same run. What a way changes in the
answer stands beside it: the largest relative difference of a size, and whether the same class has the smallest.

On a CPU only float32 is tried: the others do not exist there, or pay on few. Seed 0.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.device_peak import measured_peak, timed
from benchmarks.efficacy.cost import Size, built
from benchmarks.efficacy.tables import markdown
from benchmarks.model_share import Noted
from gate.detectors import neural_cleanse
from gate.records.artifact import Artifact, Manifest, ModelRef
from gate.records.evidence import Measurement
from gate.records.run import Run
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Samples, Subject
from gate.worker.loading.module_classifier import ModuleClassifier

SEED = 0
CAPTURED_SHAPES = 16
"""Batches of more shapes than these are not captured, since each keeps its own memory."""
Call = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Way:
    """One way to compute."""

    name: str
    dtype: torch.dtype = torch.float32
    tf32: bool = False
    channels_last: bool = False
    captured: bool = False


WAYS = (
    Way("float32, as the gate does"),
    Way("float32, channels last", channels_last=True),
    Way("TF32", tf32=True),
    Way("TF32, captured", tf32=True, captured=True),
    Way("bfloat16", torch.bfloat16),
    Way("bfloat16, channels last", torch.bfloat16, channels_last=True),
    Way("bfloat16, channels last, captured", torch.bfloat16, channels_last=True, captured=True),
)


class Computed(nn.Module):
    """A net whose passes are computed in one way; logits are float32 whatever it is."""

    def __init__(self, net: nn.Module, way: Way, device: str) -> None:
        super().__init__()
        self.net, self.way, self.device = net.to(device), way, device
        self.captures: dict[torch.Size, Call] = {}
        if way.channels_last:
            self.net = self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map raw inputs (N, C, H, W) to logits (N, K)."""
        if not (self.way.captured and x.requires_grad and torch.is_grad_enabled()):
            return self._eager(x)
        if x.shape not in self.captures and len(self.captures) < CAPTURED_SHAPES:
            example = torch.zeros_like(x).requires_grad_()
            self.captures[x.shape] = cast("Call", torch.cuda.make_graphed_callables(self._eager, (example,)))
        return self.captures.get(x.shape, self._eager)(x)

    def _eager(self, x: torch.Tensor) -> torch.Tensor:
        x = x.contiguous(memory_format=torch.channels_last) if self.way.channels_last else x
        with self._precision():
            logits: torch.Tensor = self.net(x)
        return logits.float()

    def _precision(self) -> AbstractContextManager[object]:
        if self.way.dtype == torch.float32:
            return nullcontext()
        # A capture must not keep weights that were cast outside of it.
        return torch.autocast(self.device, self.way.dtype, cache_enabled=False)


@dataclass(frozen=True)
class Row:
    """What one way took, and what it found."""

    way: Way
    seconds: float
    passes: int
    operations: float
    peak: float
    """Operations a second of a large product."""
    sizes: dict[int, float]

    def cells(self, first: "Row") -> tuple[str, ...]:
        """Return the row of the table, beside the first one's sizes."""
        reached = self.operations / self.seconds
        other = max(abs(self.sizes[k] - size) / size for k, size in first.sizes.items())
        same = smallest(self.sizes) == smallest(first.sizes)
        return (
            self.way.name,
            f"{self.seconds:.2f}",
            f"{self.passes / self.seconds:,.0f}",
            f"{reached / 1e12:.3f}",
            f"{self.peak / 1e12:.2f}",
            f"{reached / self.peak:.0%}",
            f"{other:.1%}",
            "yes" if same else f"no: {smallest(self.sizes)}",
        )


HEAD = ("way", "s", "passes a s", "TFLOP/s", "peak", "share", "sizes differ by up to", "same smallest class")


def smallest(sizes: dict[int, float]) -> int:
    """Return the class with the smallest trigger."""
    return min(sizes, key=sizes.__getitem__)


def ways(device: str) -> Iterator[Way]:
    """Yield the ways that a device has."""
    for way in WAYS:
        if device == "cuda" or not (way.tf32 or way.captured or way.dtype != torch.float32):
            yield way


@contextmanager
def tensor_cores(*, tf32: bool) -> Iterator[None]:
    """Let products of float32 be computed in TF32, or forbid it, and put back what was set."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def searched(net: nn.Module, samples: Samples, way: Way, device: str, options: neural_cleanse.NeuralCleanse) -> Row:
    """Search once to warm up and once on the clock."""
    with tensor_cores(tf32=way.tf32):
        module = Computed(net, way, device)
        classifier = ModuleClassifier.of(module, samples.inputs[:4], Preprocessing(), (0.0, 1.0))
        artifact = Artifact(ModelRef(registry="directory", name="made"), Path(), Manifest(files=()))
        subject = Subject(artifact=artifact, classifier=classifier, samples=samples)
        sizes_of(subject, options.model_copy(update={"steps": 3}), device)
        noted = Noted(classifier)
        seconds, sizes = timed(device, lambda: sizes_of(replace(subject, classifier=noted), options, device))
        peak = measured_peak(way.dtype, device)
    forward, backward = operations(module.net, samples.inputs[:8])
    counted = sum(
        count * times * (forward + (backward if gradient else 0.0))
        for (count, gradient, _), times in noted.batches.items()
    )
    return Row(way, seconds, noted.sample_passes, counted, peak, sizes)


def sizes_of(subject: Subject, options: neural_cleanse.NeuralCleanse, device: str) -> dict[int, float]:
    """Search, and return the size of each class's patch."""
    found = neural_cleanse.DETECTOR.measure(subject, options, Run(seed=SEED, device=device))
    sizes = [item for item in found if isinstance(item, Measurement) and item.metric == "size"]
    places = [(size.location.class_index if size.location else None, size.value) for size in sizes]
    return {place: value for place, value in places if place is not None}


def operations(net: nn.Module, x: torch.Tensor) -> tuple[float, float]:
    """Return the floating-point operations of one sample's pass forward, and back to the input."""
    x = x.detach().clone().requires_grad_()
    with FlopCounterMode(display=False) as counter:
        logits = net(x)
    forward = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        torch.autograd.grad(logits.sum(), x)
    return forward / len(x), counter.get_total_flops() / len(x)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--width", type=float, default=8.0, help="of the net's layers, beside 16, 32 and 64 channels")
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no usable GPU; expected one, or --device cpu")
    net, inputs, labels = built(Size(given.classes, given.width), SEED)
    samples = Samples(inputs.to(given.device), labels.to(given.device), "made")
    options = neural_cleanse.NeuralCleanse(steps=given.steps, exits=False, untargeted_starts=0)
    name = torch.cuda.get_device_name() if given.device == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    print(f"{name}; torch {torch.__version__}; {given.classes} classes, width {given.width:g}, {given.steps} steps\n")
    rows = []
    for way in ways(given.device):
        rows.append(searched(net, samples, way, given.device, options))
        print(" | ".join(rows[-1].cells(rows[0])), flush=True)
    print("\n" + markdown(HEAD, [row.cells(rows[0]) for row in rows]))


if __name__ == "__main__":
    main()
