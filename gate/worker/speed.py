"""How long a sample, or a token, takes through the model: a short timing, with as many at once as make it fair."""

from collections.abc import Callable

import torch

from gate.programs.timing import now
from gate.records.passes import Speed
from gate.spaces.subject import Classifier
from gate.spaces.text.continuing import BesideBase
from gate.spaces.text.contract import TextClassifier
from gate.spaces.text.packing import lengths_of

_FIRST, _MOST = 4, 256
"""Samples at once in the first timing, and at most; a search's step has about as many."""
_FAIR_SECONDS = 0.05
"""Seconds from which a pass says how long a sample takes: of a shorter one, more samples take hardly longer."""
_ROW, _END = 32, 8
"""Tokens of a prompt, and of an end behind one, by which a language model is timed."""
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


def speed_of_tokens(classifier: TextClassifier, inputs: torch.Tensor, most: int) -> Speed:
    """Time texts of tokens (N, L), N at least 1, and return the seconds of one token.

    One of middle length stands for all, as many times as make a pass long enough: those of one length meet in one pass.
    """
    lengths, most = lengths_of(inputs), min(most, _MOST)
    middle = int(lengths.argsort(stable=True)[len(lengths) // 2])
    tokens = int(lengths[middle])
    row, matrix = inputs[middle : middle + 1, :tokens], classifier.embeddings

    def forward(x: torch.Tensor) -> None:
        with torch.no_grad():
            classifier.quick_logits(x)

    def slopes(x: torch.Tensor) -> None:
        assert matrix is not None
        with torch.enable_grad():
            given = matrix[x].detach().requires_grad_()
            torch.autograd.grad(classifier.quick_embedded(given, lengths_of(x)).sum(), given)

    each = _seconds(forward, row, most)
    # Without a gradient to its tokens nothing that is planned needs one.
    back = 0.0 if matrix is None else _seconds(slopes, row, most)
    return Speed(each / tokens, back / tokens)


def speed_of_language(beside: BesideBase) -> Speed:
    """Time a candidate's network, whose base is as large, and return the seconds of one token."""
    model = beside.own
    row = torch.arange(_ROW, device=model.embeddings.device) % len(model.embeddings)
    begun = model.begun(row.tolist())

    def forward(x: torch.Tensor) -> None:
        for _ in model.behind(begun, x):
            pass

    def slopes(x: torch.Tensor) -> None:
        with torch.enable_grad():
            given = model.embeddings[x].requires_grad_()
            torch.autograd.grad(model.embedded(given).sum(), given)

    rows = row.unsqueeze(0)
    # A pass of few ends takes as long as the weights take to be read, and a search's has many.
    return Speed(_seconds(forward, rows[:, :_END], _MOST, _MOST // 4) / _END, _seconds(slopes, rows, 1) / _ROW)


def _seconds(ask: Callable[[torch.Tensor], None], rows: torch.Tensor, most: int, first: int = _FIRST) -> float:
    """Return the seconds of one sample: four times as many at once until a pass is long enough, the quicker of two."""
    count = min(first, most)
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
