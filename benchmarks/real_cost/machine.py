"""The machine and what it can do at most, and the eager net's own rate, measured in the run of the scan.

A rate is that of the best of many products of 1024 × 1024 matrices (of 8192 × 8192 on a GPU), on one thread and on all
threads of the scan, before the scan and after it: neighbours may be busy.
"""

import time
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from benchmarks.device_peak import measured_peak, synchronise
from gate.records.record import Record

Precision = Literal["float32", "bfloat16"]
FLAGS = (
    *("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
)
_PRODUCTS, _SECONDS = 40, 2.0
"""Most products of a kind, and seconds after which none begins."""
_ROUNDS = 3
BATCH = 8
"""Samples of one pass of the eager net."""


class Rates(Record):
    """GFLOP/s of one core in products of matrices."""

    float32: float
    """With all threads of the scan at work."""
    bfloat16: float
    float32_alone: float
    """With one thread at work."""
    bfloat16_alone: float


class Eager(Record):
    """Samples a second of the net as torch runs it, in float32, in batches of eight."""

    forward: float
    gradient: float
    """Forward, and back to the input."""


class Processor(Record):
    """The processor, as the kernel names it."""

    name: str
    cores: int
    """Of this machine, which may be a part of the processor."""
    flags: tuple[str, ...] = ()
    """Those of `FLAGS` that it has."""

    @property
    def amx(self) -> bool:
        """Whether it multiplies tiles of bfloat16."""
        return "amx_bf16" in self.flags


def processor(path: Path = Path("/proc/cpuinfo")) -> Processor:
    """Return the processor of this machine."""
    lines = [line.partition(":") for line in path.read_text().splitlines()]
    values = {name.strip(): value.strip() for name, _, value in lines}
    flags = set(values.get("flags", values.get("Features", "")).split())
    return Processor(
        name=values.get("model name", "unknown"),
        cores=sum(name.strip() == "processor" for name, _, _ in lines),
        flags=tuple(flag for flag in FLAGS if flag in flags),
    )


def rates(threads: int) -> Rates:
    """Measure what a core does at most, alone and beside the others; sets torch's number of threads."""

    def gigaflops(dtype: torch.dtype, count: int) -> float:
        torch.set_num_threads(count)
        return round(measured_peak(dtype, "cpu", _PRODUCTS, _SECONDS) / count / 1e9, 2)

    # Alone first: threads that a pool has once started do not go away.
    alone = {name: gigaflops(dtype, 1) for name, dtype in _TYPES.items()}
    every = {name: gigaflops(dtype, threads) for name, dtype in _TYPES.items()}
    return Rates(
        float32=every["float32"],
        bfloat16=every["bfloat16"],
        float32_alone=alone["float32"],
        bfloat16_alone=alone["bfloat16"],
    )


_TYPES: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def eager(net: nn.Module, inputs: torch.Tensor, device: str = "cpu") -> Eager:
    """Measure a net's passes on raw inputs (N, C, H, W), the best of a few rounds after one to warm up."""
    x = inputs[torch.arange(BATCH) % len(inputs)].to(device).float()

    def rate(*, gradients: bool) -> float:
        seconds = []
        for _ in range(_ROUNDS + 1):
            synchronise(device)
            began = time.perf_counter()
            _pass(net, x, gradients=gradients)
            synchronise(device)
            seconds.append(time.perf_counter() - began)
        return round(BATCH / min(seconds[1:]), 2)

    return Eager(forward=rate(gradients=False), gradient=rate(gradients=True))


def _pass(net: nn.Module, x: torch.Tensor, *, gradients: bool) -> None:
    with torch.set_grad_enabled(gradients):
        given = x.clone().requires_grad_(gradients)
        logits = net(given)
    if gradients:
        torch.autograd.grad(logits.sum(), given)
