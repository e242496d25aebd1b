"""The forms of a program: folded, in bfloat16, with channels last, in passes that a device's caches hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch

from gate.programs.head import final_linear
from gate.programs.quick.fusing import fused
from gate.programs.quick.narrowing import narrowed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate.programs.program import Program

Precision = Literal["float32", "bfloat16"]
_IMAGE_RANK = 4

Given = tuple[torch.Tensor, ...]
"""Samples as the program takes them, (n, …) for each input."""
Form = Callable[..., torch.Tensor]
"""Function from what the program takes to scores (N, K): the program itself, or a form of it."""


@dataclass(frozen=True)
class Choice:
    """One way to run a program's passes, and what it was chosen by."""

    program: Program
    """Yields the scores, (N, K), alone."""
    precision: Precision
    channels_last: bool
    batch: int
    """Samples that go through together."""
    rate: float
    """Samples a second when it was chosen."""
    own: float
    """Samples a second of the program as it was read."""

    def __call__(self, *x: torch.Tensor) -> torch.Tensor:
        """Map what the program takes, (N, …) for each input, to scores (N, K)."""
        batches = zip(*(torch.split(one, self.batch) for one in x), strict=True)
        parts = [self.program(*map(self._laid_out, batch)) for batch in batches]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _laid_out(self, x: torch.Tensor) -> torch.Tensor:
        return x.contiguous(memory_format=torch.channels_last) if self.channels_last else x


def told(choice: Choice) -> str:
    """Say how one kind of passes runs."""
    layout = ", channels last" if choice.channels_last else ""
    gain = f"{choice.rate / choice.own:.1f} times as quick as read" if choice.own else "as read"
    return f"{choice.precision}{layout} ({gain})"


def forms_of(own: Program, batch: int) -> Iterator[Choice]:
    """Yield the forms of a program: folded, and in bfloat16; with channels last where it convolves."""
    plain = fused(own, ())
    head = final_linear(plain)
    narrow = narrowed(plain, head.node if head else None) if has_bfloat16(own.device) else None
    layouts = (True, False) if any(node.call.name == "conv2d" for node in own.nodes) else (False,)
    for channels_last in layouts:
        yield choice_of(plain, "float32", batch, channels_last=channels_last)
        if narrow is not None:
            yield choice_of(narrow, "bfloat16", batch, channels_last=channels_last)


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether a device multiplies bfloat16 by instructions of its own."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    supported: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001  # torch gives it no public name
    return supported


def choice_of(program: Program, precision: Precision, batch: int, *, channels_last: bool) -> Choice:
    """Return a way to run a program that has not been timed yet."""
    if channels_last:
        tensors = {
            name: tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == _IMAGE_RANK else tensor
            for name, tensor in program.tensors.items()
        }
        program = replace(program, tensors=tensors)
    return Choice(program, precision, channels_last, batch, rate=0.0, own=0.0)
