"""Clean texts under changes: which are asked, the log-odds of each class before and after, and who is moved."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from gate.records.run import Run
from gate.spaces.subject import Samples
from gate.spaces.text.contract import TextClassifier

HALF: Final = 0.5
"""Added to both counts of a log-odds, so that none is infinite (Haldane 1956)."""
_CHUNK: Final = 4096
"""Texts that are made into tokens together."""


@dataclass(frozen=True)
class Sentences:
    """Clean texts, their classes, and what the model answers to them."""

    texts: tuple[str, ...]
    sources: torch.Tensor
    """Their labels (N,), or the model's own answers where they have none."""
    odds: torch.Tensor
    """Log-odds of each class (N, K)."""

    @classmethod
    def of(cls, classifier: TextClassifier, samples: Samples, rows: torch.Tensor, run: Run) -> "Sentences":
        """Ask the model about the samples at these indices."""
        texts = tuple(samples.texts[row] for row in rows.tolist())
        odds = odds_of(classifier, texts, run)
        labels = None if samples.labels is None else samples.labels[rows.to(samples.labels.device)]
        return cls(texts, odds.argmax(dim=1) if labels is None else labels.to(odds.device), odds)

    @property
    def own(self) -> torch.Tensor:
        """The model's answers (N,)."""
        return self.odds.argmax(dim=1)

    @property
    def classes(self) -> int:
        """Number of the model's classes."""
        return self.odds.shape[1]

    def at(self, rows: torch.Tensor) -> "Sentences":
        """Return those at some indices."""
        return Sentences(tuple(self.texts[row] for row in rows.tolist()), self.sources[rows], self.odds[rows])

    def others(self, target: int, source: int | None = None) -> torch.Tensor:
        """Tell of each whether it can be moved to a class: (N,) of bool; from a source class alone, if one is given."""
        movable = self.own != target
        return movable if source is None else movable & (self.sources == source) & (self.own == source)


def log_odds(logits: torch.Tensor) -> torch.Tensor:
    """Return for logits (N, K) the log-odds of each class against all others together, (N, K)."""
    every = logits.logsumexp(dim=1, keepdim=True)
    rest = every + torch.log1p(-(logits - every).exp().clamp(max=1 - torch.finfo(logits.dtype).eps))
    # Of the first choice that difference would be rounded away: the others are summed without it.
    first = logits.argmax(dim=1, keepdim=True)
    others = logits.scatter(1, first, -torch.inf).logsumexp(dim=1, keepdim=True)
    return logits - rest.scatter(1, first, others)


def odds_of(classifier: TextClassifier, texts: Sequence[str], run: Run, *, quick: bool = False) -> torch.Tensor:
    """Return the log-odds (N, K) of texts, in passes of the run; the deadline is checked between them.

    `quick` asks the model's quick form, where it has one, for what is measured again.
    """
    found, ask = [], classifier.quick_logits if quick else classifier.logits
    with torch.no_grad():
        for start in range(0, len(texts), _CHUNK):
            run.check_time()
            found.append(log_odds(ask(classifier.tokens(texts[start : start + _CHUNK]))))
    return torch.cat(found)


def changed(
    classifier: TextClassifier,
    sentences: Sentences,
    changes: Sequence[Callable[[str], str]],
    run: Run,
    *,
    quick: bool = False,
) -> torch.Tensor:
    """Return the log-odds (C, N, K) of all sentences under each change, by a quick form or not; equal texts meet."""
    count = len(sentences.texts)
    texts = [change(text) for change in changes for text in sentences.texts]
    known = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    odds = odds_of(classifier, tuple(known), run, quick=quick)
    rows = torch.tensor([known[text] for text in texts], device=odds.device)
    return odds[rows].view(len(changes), count, -1)


def shares_to(answers: torch.Tensor, sentences: Sentences, target: int, source: int | None = None) -> torch.Tensor:
    """Return for answers (C, N) the share of movable sentences that each change sends to a class, (C,)."""
    movable = sentences.others(target, source)
    return (answers[:, movable] == target).float().sum(dim=1) / movable.sum().clamp(min=1)


def odds_at(share: float, count: int) -> float:
    """Return the log-odds of a share of so many."""
    hits = torch.tensor(share * count + HALF).double()
    return float(torch.log(hits / (count - share * count + HALF)))


def halves(labels: torch.Tensor, selecting: int, held_out: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the rows of texts to choose changes by, and of others to measure them on; so many of each class.

    They depend on labels (N,) and seed alone, so that all models of a task are asked the same. Of a class with fewer
    texts than both ask for, each half gets its part.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    first, second = [], []
    for label in torch.unique(labels.cpu()).tolist():
        rows = order[labels.cpu()[order] == label]
        cut = min(selecting, max(1, len(rows) * selecting // (selecting + held_out)))
        first.append(rows[:cut])
        second.append(rows[cut : cut + held_out])
    return torch.cat(first), torch.cat(second)


def shortish(texts: Sequence[str], labels: torch.Tensor, each: int) -> torch.Tensor:
    """Return so many rows of each class, from the lower quartile of their lengths on: quick, and not the barest."""
    found = []
    for label in torch.unique(labels).tolist():
        rows = sorted((labels == label).nonzero().flatten().tolist(), key=lambda row: (len(texts[row]), row))
        start = min(len(rows) // 4, max(0, len(rows) - each))
        found += rows[start : start + each]
    return torch.tensor(found)
