"""The forms of a program, a check that each answers like the program itself, and a short timing that chooses.

Passes without gradients and passes with them are chosen apart: a device may be quick at one in a type and slow at the
other (depthwise convolutions in bfloat16). A form enters only where it agrees on clean samples: in its scores, and for
passes with gradients in these too. Rounding turns gradients sooner than scores.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

from gate.programs.folding import folded
from gate.programs.head import final_linear
from gate.programs.quick.fusing import fused
from gate.programs.quick.narrowing import narrowed
from gate.programs.refused import RefusedError
from gate.programs.timing import now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate.programs.batching import Batched
    from gate.programs.program import Program

Precision = Literal["float32", "bfloat16"]
LEAST_FLOPS: Final = 100e6
"""Floating-point operations of a pass of one sample below which a net runs as it was read: forms would gain seconds."""
LEAST_GAIN: Final = 1.25
"""Rate over float32 from which bfloat16 is worth its rounding."""
_IMAGE_RANK = 4
TRIED = 8
"""Samples on which forms are compared and timed."""
ANSWERED = 64
"""Samples on which first choices are compared, and once more mixed with each other."""
_MIXED = 0.7
"""Share of the first of two mixed samples: probes move samples towards where classes meet, as mixing does."""
_LEAST_ALIKE = 0.98
"""Least share of first choices in bfloat16 that are the program's own."""
_LEAST_ROUNDS, _MOST_ROUNDS = 2, 8
"""Rounds of timing all forms: no more are begun after `_ENOUGH` seconds."""
_ENOUGH = 1.5
_AT_ONCE = 16
"""Samples that a CPU's caches hold at the sizes at which forms are chosen; more at once are slower."""
_FLOAT_ERROR, _NARROW_ERROR = 1e-3, 0.05
"""Greatest difference of a score from the program's own, as a share of the scores' spread over classes and samples."""
_FLOAT_ALIKE, _NARROW_ALIKE = 0.999, 0.8
"""Least mean cosine of a form's gradients to the pixels with the program's own."""


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


@dataclass(frozen=True)
class Quick:
    """The quickest forms of a program for passes without gradients and with them."""

    forward: Choice
    slopes: Choice

    def __call__(self, *x: torch.Tensor) -> torch.Tensor:
        """Map what the program takes, (N, …) for each input, to scores (N, K); gradients go to the first alone."""
        return (self.slopes if torch.is_grad_enabled() and x[0].requires_grad else self.forward)(*x)

    def __str__(self) -> str:
        """Say how passes run, for the report."""
        return f"{told(self.forward)}; with gradients {told(self.slopes)}"


Given = tuple[torch.Tensor, ...]
"""Samples as the program takes them, (n, …) for each input."""
Form = Callable[..., torch.Tensor]
"""Function from what the program takes to scores (N, K): the program itself, or a form of it."""
Rate = Callable[[Form, Given, bool], float]
"""Function from a form, samples, and whether gradients are asked for, to samples a second."""


def choose(
    body: Batched, scores: str, *samples: torch.Tensor, rate: Rate | None = None, at_once: int = _AT_ONCE
) -> Quick | None:
    """Return the quickest forms that agree on `samples` (n, …), as the program takes them; None for small nets.

    `scores` names the value (N, K) that is judged. None too where samples go through one at a time, where the program
    computes in another type than float32, and where no form is quicker than the program itself. Gradients are those to
    the first input; where it holds whole numbers, such as ids, passes without them alone have a form. On a CPU a pass
    has `at_once` samples at most.
    """
    if body.mode not in {"direct", "relaxed"} or not in_float32(body.program, samples):
        return None
    try:
        if flops(body.program, *(one[:1] for one in samples)) < LEAST_FLOPS:
            return None  # before anything is folded: most scans of small nets end here
        own = folded(replace(body.program, output_names=(scores,), output_paths=()))
        given = tuple(one[torch.arange(TRIED, device=one.device) % len(one)] for one in samples)
        wanted = _answers(own, given)
        bound = at_once if own.device.type == "cpu" else sys.maxsize
        forms = [form for form in _forms(own, bound) if _agrees(form, given, wanted, gradients=False)]
        sloped = [form for form in forms if _agrees(form, given, wanted, gradients=True)]
    except RefusedError:
        return None  # an operator takes no constants ahead of time, or has no gradient: the program runs as it was read
    timed = rate or _rate
    forward = _quickest(own, forms, given, timed, bound, gradients=False)
    if forward.precision == "bfloat16" and not _chooses_alike(forward, own, samples):
        forward = _quickest(
            own, [form for form in forms if form.precision == "float32"], given, timed, bound, gradients=False
        )
    slopes = _quickest(own, sloped, given, timed, bound, gradients=True)
    return None if forward.program is own and slopes.program is own else Quick(forward, slopes)


def _chooses_alike(form: Choice, own: Program, samples: Given) -> bool:
    """Tell whether a form's first choices are the program's own, on samples and, where these have fractions, mixed."""
    some = tuple(one[:ANSWERED] for one in samples)
    alike = [_same_choices(form, own, some)]
    if some[0].is_floating_point():
        mixed = _MIXED * some[0] + (1 - _MIXED) * some[0].roll(1, 0)
        alike.append(_same_choices(form, own, (mixed, *some[1:])))
    return float(torch.cat(alike).float().mean()) >= _LEAST_ALIKE


def _same_choices(form: Choice, own: Program, given: Given) -> torch.Tensor:
    """Tell of each sample (n,) whether both choose the same class; one logit stands for two."""
    as_read = replace(form, program=own, channels_last=False)
    with torch.no_grad():
        scores, wanted = (run(*given).flatten(1) for run in (form, as_read))
    if scores.shape[1] == 1:
        return (scores > 0) == (wanted > 0)
    return scores.argmax(dim=1) == wanted.argmax(dim=1)


def in_float32(program: Program, samples: Given) -> bool:
    """Tell whether a program and all samples with fractions are of float32."""
    return all(one.dtype == torch.float32 for one in (*samples, *program.tensors.values()) if one.is_floating_point())


def flops(program: Program, *sample: torch.Tensor) -> float:
    """Return the floating-point operations of a forward pass of one sample, two a multiply-add."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        program(*sample)
    return float(counter.get_total_flops())


def _forms(own: Program, batch: int) -> Iterator[Choice]:
    """Yield the forms of a program: folded, and in bfloat16; with channels last where it convolves."""
    plain = fused(own, ())
    head = final_linear(plain)
    narrow = narrowed(plain, head.node if head else None) if has_bfloat16(own.device) else None
    layouts = (True, False) if any(node.call.name == "conv2d" for node in own.nodes) else (False,)
    for channels_last in layouts:
        yield _choice(plain, "float32", batch, channels_last=channels_last)
        if narrow is not None:
            yield _choice(narrow, "bfloat16", batch, channels_last=channels_last)


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether a device multiplies bfloat16 by instructions of its own."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    supported: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001  # torch gives it no public name
    return supported


def _choice(program: Program, precision: Precision, batch: int, *, channels_last: bool) -> Choice:
    if channels_last:
        tensors = {
            name: tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == _IMAGE_RANK else tensor
            for name, tensor in program.tensors.items()
        }
        program = replace(program, tensors=tensors)
    return Choice(program, precision, channels_last, batch, rate=0.0, own=0.0)


def _answers(form: Form, given: Given) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return scores (N, K), and the gradient (N, …) of each sample's own loss to the first input if that has any."""
    x = given[0].detach()
    if not x.is_floating_point():
        with torch.no_grad():
            return form(*given).float(), None
    x = x.clone().requires_grad_()
    with torch.enable_grad():
        scores = form(x, *given[1:]).float()
        loss = torch.nn.functional.cross_entropy(scores, scores.argmin(dim=1), reduction="sum")
        (slopes,) = torch.autograd.grad(loss, x)
    return scores.detach(), slopes


def _agrees(form: Choice, given: Given, wanted: tuple[torch.Tensor, torch.Tensor | None], *, gradients: bool) -> bool:
    """Tell whether a form yields scores, or gradients, like the program's own."""
    try:
        scores, slopes = _answers(form, given)
    except RefusedError:
        return False
    narrow = form.precision == "bfloat16"
    if gradients:
        if slopes is None or wanted[1] is None:
            return False
        alike = (_directions(slopes) * _directions(wanted[1])).sum(dim=1).mean()
        return float(alike) >= (_NARROW_ALIKE if narrow else _FLOAT_ALIKE)
    spread = float(wanted[0].amax() - wanted[0].amin())
    error = float((scores - wanted[0]).abs().amax())
    return error <= (_NARROW_ERROR if narrow else _FLOAT_ERROR) * spread


def _directions(slopes: torch.Tensor) -> torch.Tensor:
    """Return gradients (N, …) as vectors (N, D) of length one; in double, since they may be tiny."""
    rows = slopes.flatten(1).double()
    return torch.nn.functional.normalize(rows, dim=1, eps=torch.finfo(torch.float64).tiny)


def _quickest(own: Program, forms: list[Choice], given: Given, rate: Rate, batch: int, *, gradients: bool) -> Choice:
    """Return the form of the greatest rate; bfloat16 only where it gains enough over float32."""
    as_it_is = _choice(own, "float32", batch, channels_last=False)
    if not forms:
        return as_it_is
    runs: list[Form] = [own, *forms]
    as_read, *rates = _best_rates(runs, lambda run: rate(run, given, gradients))
    timed = [
        replace(as_it_is, rate=as_read, own=as_read),
        *(replace(form, rate=found, own=as_read) for form, found in zip(forms, rates, strict=True)),
    ]
    best = max((one for one in timed if one.precision == "float32"), key=lambda one: one.rate)
    narrow = max((one for one in timed if one.precision == "bfloat16"), key=lambda one: one.rate, default=best)
    return narrow if narrow.rate >= LEAST_GAIN * best.rate else best


Run = TypeVar("Run")


def _best_rates(runs: Sequence[Run], rate: Callable[[Run], float]) -> list[float]:
    """Return the best of each one's rates over rounds of all, so that other work on the machine slows all alike."""
    best, started = [0.0] * len(runs), time.perf_counter()
    for number in range(_MOST_ROUNDS):
        if number >= _LEAST_ROUNDS and time.perf_counter() - started > _ENOUGH:
            break
        best = [max(rate(run), known) for run, known in zip(runs, best, strict=True)]
    return best


def _rate(form: Form, given: Given, gradients: bool) -> float:
    """Return samples a second of one round; the check before has warmed it up."""
    started = now(given[0])
    if gradients:
        _answers(form, given)
    else:
        with torch.no_grad():
            form(*given)
    return len(given[0]) / max(now(given[0]) - started, 1e-9)


def told(choice: Choice) -> str:
    """Say how one kind of passes runs."""
    layout = ", channels last" if choice.channels_last else ""
    gain = f"{choice.rate / choice.own:.1f} times as quick as read" if choice.own else "as read"
    return f"{choice.precision}{layout} ({gain})"
