"""What is measured: a net by name, its task, and how its scan computes; with the times that are to be reached.

The beginning of the flow. Values alone, so that processes can be handed them; importing this imports no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from gate.records.record import Record

if TYPE_CHECKING:
    from torch import nn

ANY_ISA: Final = "DEFAULT"
"""The instruction sets that oneDNN chooses by itself."""


class Net(Record):
    """A net of a family in `benchmarks.nets`, and its settings."""

    name: str
    family: Literal["mobilenet", "resnet", "vit"]
    config: dict[str, Any] = Field(default_factory=dict)

    def built(self, classes: int, side: int) -> "nn.Module":
        """Return it with fresh weights, for images (N, 3, side, side)."""
        module = importlib.import_module(f"benchmarks.nets.{self.family}")
        size = {"side": side} if self.family == "vit" else {}
        net: nn.Module = module.build(module.Config(classes=classes, **size, **self.config))
        return net


NETS: Final = {
    net.name: net
    for net in (
        Net(name="mobilenet_v2", family="mobilenet"),
        Net(name="resnet18", family="resnet", config={"stem": "large"}),
        Net(name="resnet50", family="resnet", config={"stem": "large", "block": "bottleneck", "blocks": (3, 4, 6, 3)}),
        Net(name="vit_s_16", family="vit"),
        Net(name="vit_b_16", family="vit", config={"width": 768, "heads": 12}),
    )
}


class Case(Record):
    """One scan to measure. Its key does not hold commit or policy, which stand in the row."""

    net: Net
    side: int = 224
    classes: int = 10
    samples: int = 500
    seed: int = 0
    """Of weights, images and fit; the scan's own is the policy's."""
    isa: str = ANY_ISA
    """The most that oneDNN may use, by `ONEDNN_MAX_CPU_ISA`."""
    arithmetic: Literal["auto", "as-read"] = "auto"
    threads: int = 2

    @property
    def key(self) -> tuple[str | int, ...]:
        """What a row is of, beside the processor."""
        return (
            self.net.name,
            self.side,
            self.classes,
            self.samples,
            self.seed,
            self.isa,
            self.arithmetic,
            self.threads,
        )

    def __str__(self) -> str:
        ways = [self.isa] if self.isa != ANY_ISA else []
        ways += [self.arithmetic] if self.arithmetic != "auto" else []
        ways += [f"{self.side} × {self.side}"] if self.side != 224 else []
        return ", ".join([f"{self.net.name}, {self.classes} classes, {self.samples} samples", *ways])


REFERENCE_RATE: Final = 180.0
"""GFLOP/s of a core in float32 products, by which times are scaled."""
MINUTES: Final = {
    ("mobilenet_v2", 10, 500): 8,
    ("resnet18", 10, 500): 8,
    ("resnet50", 10, 500): 18,
    ("vit_s_16", 10, 500): 25,
    ("mobilenet_v2", 1000, 2000): 30,
}
"""Most minutes of a default check at that rate on two cores with AMX, by net, classes and samples."""
LEAST_SHARE: Final = {"resnet18": 0.40, "mobilenet_v2": 0.14}
"""Least share of the measured peak over a whole scan: of ResNet-18 in float32 alone, of MobileNetV2 in any."""
LEAST_SEARCHING: Final = {"vit_s_16": 0.8, "vit_b_16": 0.8}
"""Least rate of the searches over the eager model's own."""
MOST_MEMORY: Final = 4 << 30
"""Bytes of the largest worker."""


def target_minutes(case: Case, *, amx: bool) -> int | None:
    """Return the minutes to be reached by a case, or None where it is stated without any."""
    plain = case.isa == ANY_ISA and case.arithmetic == "auto" and (case.side, case.threads) == (224, 2)
    return MINUTES.get((case.net.name, case.classes, case.samples)) if plain and amx else None
