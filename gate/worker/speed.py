"""How long a sample takes through the model: a short timing, with as many samples at once as make it a fair one."""

from collections.abc import Callable

import torch

from gate.programs.timing import now
from gate.records.passes import Speed
from gate.spaces.subject import Classifier

_FIRST, _MOST = 4, 256
"""Samples at once in the first timing, and at most; a search's step has about as many."""
_FAIR_SECONDS = 0.05
"""Seconds from which a pass says how long a sample takes: of a shorter one, more samples take hardly longer."""
_LONG_SECONDS = 1.0
"""Seconds from which a pass is not repeated; the first of a shorter one may have prepared what later ones find."""


def speed_of(classifier: Classifier, inputs: torch.Tensor, most: int) -> Speed:
    """Time raw inputs (N, C, H, W), N at least 1, with at most `most` at once, without gradients and with."""
    rows, most = inputs.detach(), min(most, _MOST)

    def forward(x: torch.Tensor) -> None:
        with torch.no_grad():
            classifier.quick_logits(x)

    def slopes(x: torch.Tensor) -> None:
        with torch.enable_grad():
            given = x.clone().requires_grad_()
            torch.autograd.grad(classifier.quick_logits(given).sum(), given)

    return Speed(_seconds(forward, rows, most), _seconds(slopes, rows, most))


def _seconds(ask: Callable[[torch.Tensor], None], rows: torch.Tensor, most: int) -> float:
    """Return the seconds of one sample: four times as many at once until a pass is long enough, the quicker of two."""
    count = min(_FIRST, most)
    while True:
        given = rows[torch.arange(count, device=rows.device) % len(rows)]
        spent = _spent(ask, given)
        if spent < _LONG_SECONDS:
            spent = min(spent, _spent(ask, given))
        if spent >= _FAIR_SECONDS or count >= most:
            return spent / count
        count = min(4 * count, most)


def _spent(ask: Callable[[torch.Tensor], None], given: torch.Tensor) -> float:
    started = now(given)
    ask(given)
    return now(given) - started
