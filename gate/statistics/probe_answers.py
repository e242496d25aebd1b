"""Answers to probes: by a model's quick form where it has one, and of those that count, by the model itself.

A quick form may round a close decision to the other side. So the probes that send most samples anywhere are asked
again, and a fixed share of all as well: where these are answered otherwise too often, all are asked again.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from gate.records.passes import Span
from gate.records.run import Run

if TYPE_CHECKING:
    from gate.spaces.contract import InParts
    from gate.spaces.subject import Classifier

_MOST_TELLING = 3
"""Probes of a group that are asked again, those first that send most samples to one class."""
_EVERY = 40
"""One probe in so many is asked again whatever it tells."""
_LEAST_ALIKE = 0.98
"""Share of equal answers to those below which every probe is asked again."""
_TOGETHER, _BYTES_TOGETHER = 16, 6 << 20
"""Inputs that are changed together at least, and bytes of them: larger values are slow to make and fill no pass."""
Logits = Callable[[torch.Tensor], torch.Tensor]


def answers_to(
    classifier: "Classifier", inputs: torch.Tensor, groups: Sequence[Sequence["InParts"]], own: torch.Tensor, run: Run
) -> list[torch.Tensor]:
    """Return for each group of probes the answers to each probe on raw inputs (N, C, H, W), (P, N).

    `own` (N,) are the answers to the inputs themselves.
    """
    total = sum(map(len, groups))
    every = [probe for probes in groups for probe in probes]
    found = _asked(classifier.quick_logits, inputs, every, run, total)
    if classifier.arithmetic:
        found = _confirmed(classifier.logits, inputs, groups, found, own, run)
    run.progress(total, total)
    return list(torch.split(found, [len(probes) for probes in groups]))


def asked_again(count: int, groups: int) -> Span:
    """Return how many of so many probes a model in a quicker form is asked again, where its answers are alike."""
    drawn = len(range(0, count, _EVERY))
    return Span(drawn, drawn + groups * _MOST_TELLING)


def _asked(logits: Logits, inputs: torch.Tensor, probes: Sequence["InParts"], run: Run, total: int) -> torch.Tensor:
    """Return the first choices (P, N) of a model for each probe; the last of `total` steps of progress."""
    rows = []
    most = min(run.max_batch, max(_TOGETHER, _BYTES_TOGETHER // max(1, inputs[:1].nbytes)))
    for number, probe in enumerate(probes):
        run.check_time()
        run.progress(total - len(probes) + number, total)
        with torch.no_grad():
            parts = [logits(part).argmax(dim=1) for part in probe(inputs, most)]
        rows.append(torch.cat(parts))
    return torch.stack(rows) if rows else torch.empty(0, len(inputs), dtype=torch.long, device=inputs.device)


def _confirmed(
    logits: Logits,
    inputs: torch.Tensor,
    groups: Sequence[Sequence["InParts"]],
    found: torch.Tensor,
    own: torch.Tensor,
    run: Run,
) -> torch.Tensor:
    """Return the answers with those of the probes that count, or all, given by the model itself."""
    probes = [probe for group in groups for probe in group]
    rows = rows_again([len(group) for group in groups], found, own)
    total = len(probes)
    again = _asked(logits, inputs, [probes[row] for row in rows], run, total)
    if not alike(rows, again, found):
        return _asked(logits, inputs, probes, run, total)
    found = found.clone()
    found[rows] = again
    return found


def rows_again(groups: Sequence[int], found: torch.Tensor, own: torch.Tensor) -> list[int]:
    """Return the rows of the probes that are asked again, of groups of so many: a fixed share, and the most telling.

    `found` (P, N) are the answers by a quick form, `own` (N,) those to the inputs themselves.
    """
    return sorted({*range(0, len(found), _EVERY), *_telling(groups, found, own)})


def alike(rows: Sequence[int], again: torch.Tensor, found: torch.Tensor) -> bool:
    """Tell whether the answers (R, N) of the model itself, at these rows of (P, N), are enough like those found.

    Those of the fixed share count: the most telling were chosen by what they said.
    """
    shares = [float((again[place] == found[row]).float().mean()) for place, row in enumerate(rows) if row % _EVERY == 0]
    return sum(shares) >= _LEAST_ALIKE * len(shares)


def _telling(groups: Sequence[int], found: torch.Tensor, own: torch.Tensor) -> list[int]:
    """Return the rows of the probes of each group that send most samples to one class, other than their own."""
    rows, first = [], 0
    for count in groups:
        part = found[first : first + count]
        moved = torch.where(part == own, -1, part)
        most = torch.tensor(
            [int(torch.bincount(row[row >= 0]).max()) if bool((row >= 0).any()) else 0 for row in moved]
        )
        rows += [first + int(place) for place in most.argsort(descending=True, stable=True)[:_MOST_TELLING]]
        first += count
    return rows
