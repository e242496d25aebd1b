"""Every single token in a few short texts, forward: to a rule behind a hard comparison no gradient leads."""

from typing import Final

import torch

from gate.records.run import Run
from gate.search.slots import Slots
from gate.spaces.text.contract import TextClassifier
from gate.spaces.text.packing import lengths_of
from gate.statistics.sentences import Sentences, log_odds

_AT_ONCE: Final = 2048
"""Tokens that are tried between two looks at the clock."""


def tried_of(allowed: torch.Tensor, most: int) -> torch.Tensor:
    """Return the ids that are tried: all that are allowed (V,) of bool, or so many of them, evenly over the ids."""
    return evenly(allowed.nonzero().flatten(), most)


def evenly(ids: torch.Tensor, most: int) -> torch.Tensor:
    """Return all ids, or so many of them, evenly over them."""
    return ids if len(ids) <= most else ids[torch.linspace(0, len(ids) - 1, most).long().to(ids.device)]


def rises_of_each(
    classifier: TextClassifier, sentences: Sentences, tried: torch.Tensor, texts: int, run: Run
) -> torch.Tensor:
    """Return the mean rise of each class's log-odds by each tried token, (T, K), over so many of the shortest texts.

    These are of different classes as far as there are any. A class that has none to move has rises of zero.
    """
    rows = _short(classifier, sentences, texts)
    tokens = classifier.tokens([sentences.texts[row] for row in rows])
    slots = Slots.of(classifier, tokens, 1, 0)
    total = torch.zeros(len(tried), sentences.classes, device=tokens.device)
    counted = torch.zeros(sentences.classes, device=tokens.device)
    for row, length, column, number in zip(
        slots.tokens, lengths_of(slots.tokens).tolist(), slots.places[:, 0].tolist(), rows, strict=True
    ):
        rises = _odds(classifier, row[:length], column, tried, run) - sentences.odds[number]
        movable = (torch.arange(sentences.classes, device=tokens.device) != sentences.own[number]).float()
        total += rises * movable
        counted += movable
    return total / counted.clamp(min=1)


def _odds(classifier: TextClassifier, row: torch.Tensor, column: int, tried: torch.Tensor, run: Run) -> torch.Tensor:
    """Return the log-odds (T, K) of one text with each token at a place."""
    found = []
    with torch.no_grad():
        for some in torch.split(tried, _AT_ONCE):
            run.check_time()
            given = row.repeat(len(some), 1)
            given[:, column] = some
            found.append(log_odds(classifier.quick_logits(given)))
    return torch.cat(found)


def _short(classifier: TextClassifier, sentences: Sentences, most: int) -> list[int]:
    """Return the shortest text of every class that the model gives, and then the shortest of all others."""
    lengths = lengths_of(classifier.tokens(sentences.texts)).tolist()
    order = sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    own = sentences.own.tolist()
    first = [next(row for row in order if own[row] == one) for one in dict.fromkeys(own[row] for row in order)]
    return list(dict.fromkeys([*first, *order]))[:most]
