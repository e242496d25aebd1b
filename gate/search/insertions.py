"""Words put into texts: a quick look at all of them, a whole one at the best, and how the usual word does.

Every number is of the model's own answers to whole texts through its own tokenizer; nothing here has gradients.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch

from gate.records.run import Run
from gate.spaces.text.contract import TextClassifier, Tokenizer
from gate.spaces.text.inserting import PLACES, Place, inserted
from gate.spaces.text.probes import TextProbe, frequent_words
from gate.statistics.probe_answers import alike, rows_again
from gate.statistics.sentences import Sentences, changed, shares_to

CONTROLS: Final = 24
"""Frequent words, evenly spaced over their list, by which the usual word is known."""
_AT_ONCE: Final = 64
"""Probes that are asked together, between two looks at the clock."""
_LONG: Final = 40
"""Letters beyond which a token is no word."""
_SHORT: Final = 3
"""Letters up to which a rare token comes first, as those of published attacks do (cf, mn, bb)."""


@dataclass(frozen=True)
class Screened:
    """Every probe on a few sentences, each sentence with one place."""

    answers: torch.Tensor
    """(P, N)."""
    rises: torch.Tensor
    """Rise of the log-odds of each class by each probe in each sentence, (P, N, K)."""

    def first(self, count: int) -> "Screened":
        """Return the first so many probes alone."""
        return Screened(self.answers[:count], self.rises[:count])


@dataclass(frozen=True)
class Insertion:
    """A probe at a place."""

    probe: TextProbe
    place: Place

    def __call__(self, text: str) -> str:
        """Return the text with it."""
        return inserted(text, self.probe.words, self.place)

    def __str__(self) -> str:
        return f"{self.probe.name} at the {self.place}"


def rare(tokenizer: Tokenizer, most: int) -> tuple[TextProbe, ...]:
    """Return words out of a vocabulary that are not frequent: the shortest, then others evenly over their ids."""
    known = set(frequent_words())
    words = dict.fromkeys(tokenizer.decode([one]).strip() for one in sorted(set(tokenizer.word_starting())))
    fitting = [word for word in words if _fits(word) and word.lower() not in known]
    short = [word for word in fitting if word.isalpha() and len(word) <= _SHORT][: most // 2]
    long = [word for word in fitting if word not in set(short)]
    step = max(1, -(-len(long) // max(1, most - len(short))))
    chosen = [*short, *long[::step]]
    return tuple(TextProbe(f"the rare word {word!a}", word, "words") for word in chosen[:most])


def marks(tokenizer: Tokenizer) -> tuple[TextProbe, ...]:
    """Return what a user types to get a special or added token, and a text that the tokenizer does not know."""
    return tuple(
        TextProbe(f"the mark {text!a:.100}", text, "words") for text in dict.fromkeys(tokenizer.marks().values())
    )


def _fits(word: str) -> bool:
    return word.isalnum() and word.isascii() and len(word) <= _LONG


def screened(
    classifier: TextClassifier, sentences: Sentences, probes: Sequence[TextProbe], run: Run, steps: int
) -> Screened:
    """Insert every probe into every sentence at one place, in turn; the first of `steps` steps of progress.

    Where the model has a quick form, that is asked, and the model itself about those that count.
    """
    odds = _odds(classifier, sentences, probes, run, steps, quick=True)
    if classifier.arithmetic:
        odds = _confirmed(classifier, sentences, probes, odds, run)
    return Screened(odds.argmax(dim=2), odds - sentences.odds)


def _odds(
    classifier: TextClassifier, sentences: Sentences, probes: Sequence[TextProbe], run: Run, steps: int, *, quick: bool
) -> torch.Tensor:
    """Return the log-odds (P, N, K) of every sentence with every probe."""
    found = []
    places = [PLACES[number % len(PLACES)] for number in range(len(sentences.texts))]
    at = dict(zip(sentences.texts, places, strict=True))
    for start in range(0, len(probes), _AT_ONCE):
        some = probes[start : start + _AT_ONCE]
        changes: list[Callable[[str], str]] = [partial(_turned, words=probe.words, at=at) for probe in some]
        found.append(changed(classifier, sentences, changes, run, quick=quick))
        run.progress(min(steps, start + len(some)), steps)
    return torch.cat(found)


def _confirmed(
    classifier: TextClassifier, sentences: Sentences, probes: Sequence[TextProbe], odds: torch.Tensor, run: Run
) -> torch.Tensor:
    """Return log-odds (P, N, K) of which the model itself gives those of the probes that count, or all."""
    answers, known = odds.argmax(dim=2), len(probes)
    rows = rows_again([known], answers, sentences.own)
    again = _odds(classifier, sentences, [probes[row] for row in rows], run.quiet(), known, quick=False)
    if not alike(rows, again.argmax(dim=2), answers):
        return _odds(classifier, sentences, probes, run.quiet(), known, quick=False)
    odds = odds.clone()
    odds[rows] = again
    return odds


def _turned(text: str, words: str, at: dict[str, Place]) -> str:
    return inserted(text, words, at[text])


def best_for(seen: Screened, sentences: Sentences, target: int, most: int) -> list[int]:
    """Return the probes that raise a class most, over all movable sentences and over those of any one source."""
    movable = sentences.others(target)
    if not movable.any():
        return []
    rises = seen.rises[:, :, target]
    ranked = [rises[:, movable].mean(dim=1)]
    for source in torch.unique(sentences.sources[movable]).tolist():
        of_source = movable & (sentences.sources == source)
        ranked.append(rises[:, of_source].mean(dim=1))
    rows = [score.argsort(descending=True, stable=True).tolist() for score in ranked]
    chosen = dict.fromkeys(row for tied in zip(*rows, strict=True) for row in tied)
    return list(chosen)[:most]


def whole(
    classifier: TextClassifier, sentences: Sentences, probes: Sequence[TextProbe], run: Run
) -> tuple[list[Insertion], torch.Tensor]:
    """Return every probe at every place, and the log-odds (Q, N, K) of all sentences with each."""
    insertions = [Insertion(probe, place) for probe in probes for place in PLACES]
    return insertions, changed(classifier, sentences, insertions, run)


def controls() -> tuple[TextProbe, ...]:
    """Return frequent words, evenly spaced over their list."""
    words = frequent_words()
    step = len(words) // CONTROLS
    return tuple(TextProbe(word, word, "words") for word in words[step // 2 :: step][:CONTROLS])


def usual_share(classifier: TextClassifier, sentences: Sentences, target: int, place: Place, run: Run) -> float:
    """Return the share of movable sentences that the median frequent word sends to a class, at a place."""
    odds = changed(classifier, sentences, [Insertion(probe, place) for probe in controls()], run)
    return float(shares_to(odds.argmax(dim=2), sentences, target).median())
