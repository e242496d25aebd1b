"""Whether a form answers like the program as it was read: in scores, in gradients, and in first choices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from gate.programs.refused import RefusedError

if TYPE_CHECKING:
    from gate.programs.program import Program
    from gate.programs.quick.forms import Choice, Form, Given

ANSWERED = 64
"""Samples on which first choices are compared, and once more mixed with each other."""
_MIXED = 0.7
"""Share of the first of two mixed samples: probes move samples towards where classes meet, as mixing does."""
_LEAST_ALIKE = 0.98
"""Least share of first choices in bfloat16 that are the program's own."""
_FLOAT_ERROR, _NARROW_ERROR = 1e-3, 0.05
"""Greatest difference of a score from the program's own, as a share of the scores' spread over classes and samples."""
_FLOAT_ALIKE, _NARROW_ALIKE = 0.999, 0.8
"""Least mean cosine of a form's gradients to the first input with the program's own."""


def answers(form: Form, given: Given) -> tuple[torch.Tensor, torch.Tensor | None]:
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


def agreeing(form: Choice, given: Given, wanted: tuple[torch.Tensor, torch.Tensor | None]) -> tuple[bool, bool]:
    """Tell whether a form yields scores like the program's own, and whether it does so with gradients like them."""
    try:
        scores, slopes = answers(form, given)
    except RefusedError:
        return False, False
    narrow = form.precision == "bfloat16"
    spread = float(wanted[0].amax() - wanted[0].amin())
    error = float((scores - wanted[0]).abs().amax())
    alike = error <= (_NARROW_ERROR if narrow else _FLOAT_ERROR) * spread
    if slopes is None or wanted[1] is None:
        return alike, False
    cosine = float((_directions(slopes) * _directions(wanted[1])).sum(dim=1).mean())
    return alike, alike and cosine >= (_NARROW_ALIKE if narrow else _FLOAT_ALIKE)


def _directions(slopes: torch.Tensor) -> torch.Tensor:
    """Return gradients (N, …) as vectors (N, D) of length one; in double, since they may be tiny."""
    rows = slopes.flatten(1).double()
    return torch.nn.functional.normalize(rows, dim=1, eps=torch.finfo(torch.float64).tiny)


def chooses_alike(form: Choice, own: Program, samples: Given) -> bool:
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
