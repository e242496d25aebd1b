"""A self-check and a short timing that choose how a program's passes run.

Passes without gradients and passes with them are chosen apart: a device may be quick at one in a type and slow at the
other (depthwise convolutions in bfloat16). A form enters only where it agrees on clean samples: in its scores, and for
passes with gradients in these too. Rounding turns gradients sooner than scores.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

from gate.programs.folding import folded
from gate.programs.quick.agreement import agreeing, answers, chooses_alike
from gate.programs.quick.forms import Choice, Form, Given, choice_of, forms_of, told
from gate.programs.refused import RefusedError
from gate.programs.timing import now

if TYPE_CHECKING:
    from gate.programs.batching import Batched
    from gate.programs.program import Program

LEAST_FLOPS: Final = 100e6
"""Floating-point operations of a pass of one sample below which a net runs as it was read: forms would gain seconds."""
LEAST_GAIN: Final = 1.25
"""Rate over float32 from which bfloat16 is worth its rounding."""
TRIED = 8
"""Samples on which forms are compared and timed."""
_AT_ONCE = 16
"""Samples that a CPU's caches hold at the sizes at which forms are chosen; more at once are slower."""
_LEAST_ROUNDS, _MOST_ROUNDS = 2, 8
"""Rounds of timing all forms: no more are begun after `_ENOUGH` seconds."""
_ENOUGH = 1.5


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
        wanted = answers(own, given)
        bound = at_once if own.device.type == "cpu" else sys.maxsize
        agreed = [(form, *agreeing(form, given, wanted)) for form in forms_of(own, bound)]
    except RefusedError:
        return None  # an operator takes no constants ahead of time, or has no gradient: the program runs as it was read
    forms, sloped = ([one[0] for one in agreed if one[place]] for place in (1, 2))
    timed = rate or _rate
    forward = _quickest(own, forms, given, timed, bound, gradients=False)
    if forward.precision == "bfloat16" and not chooses_alike(forward, own, samples):
        forward = _quickest(
            own, [form for form in forms if form.precision == "float32"], given, timed, bound, gradients=False
        )
    slopes = _quickest(own, sloped, given, timed, bound, gradients=True)
    return None if forward.program is own and slopes.program is own else Quick(forward, slopes)


def in_float32(program: Program, samples: Given) -> bool:
    """Tell whether a program and all samples with fractions are of float32."""
    return all(one.dtype == torch.float32 for one in (*samples, *program.tensors.values()) if one.is_floating_point())


def flops(program: Program, *sample: torch.Tensor) -> float:
    """Return the floating-point operations of a forward pass of one sample, two a multiply-add."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        program(*sample)
    return float(counter.get_total_flops())


def _quickest(own: Program, forms: list[Choice], given: Given, rate: Rate, batch: int, *, gradients: bool) -> Choice:
    """Return the form of the greatest rate; bfloat16 only where it gains enough over float32."""
    as_it_is = choice_of(own, "float32", batch, channels_last=False)
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
        answers(form, given)
    else:
        with torch.no_grad():
            form(*given)
    return len(given[0]) / max(now(given[0]) - started, 1e-9)
