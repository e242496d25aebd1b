"""Of each class the insertion that sends most texts there: chosen on some texts, measured on others."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import torch

from gate.records.evidence import Excerpt, Location
from gate.records.run import Run
from gate.search.insertions import Insertion, Screened, best_for, usual_share, whole
from gate.spaces.subject import Trigger
from gate.spaces.text.contract import TextClassifier
from gate.spaces.text.excerpts import with_insertion
from gate.spaces.text.inserting import inserted
from gate.spaces.text.probes import TextProbe
from gate.spaces.text.tokens import ids_of, token_trigger
from gate.statistics.sentences import Sentences, changed, odds_at, shares_to

ENOUGH: Final = 0.9
"""Share of texts from which words are enough."""
MOST_WORDS: Final = 4
"""Words that are put in together at most; where that many are not enough, one more stands for it."""
MOSTLY: Final = 0.5
"""Share of one source class, beyond the others', from which the report shows that class."""
TENTH: Final = 9
"""Place of the word, from 0, above which the best one's lead is taken."""


@dataclass(frozen=True)
class FromSource:
    """The insertion that moves one source class's texts most beyond the other sources'."""

    index: int
    best: Insertion
    share: float
    """Share of its held-out texts that are moved, less the median over all sources."""
    answers: tuple[list[int], list[int]] = field(repr=False)
    """Answers to its held-out texts without and with the insertion."""


@dataclass(frozen=True)
class Flip:
    """What insertions do towards one class."""

    target: int
    best: Insertion
    share: float
    """Share of the held-out texts of other classes that the best one sends there."""
    odds: float
    """Log-odds of that, beyond the median frequent word's."""
    lead: float
    """Mean rise of the class's log-odds by the best word, less that by the tenth best."""
    needed: int
    source: FromSource | None
    answers: tuple[list[int], list[int]] = field(repr=False)
    """Answers to the movable held-out texts without and with it."""

    def trigger(self, classifier: TextClassifier) -> Trigger | None:
        """Return it for later detectors, as tokens; None of what the tokenizer makes none of."""
        words = self.best.probe.words
        if not len(ids_of(classifier, words)):
            return None
        return token_trigger(classifier, Location.of_class(self.target), words, self.share, self.best.place)

    def excerpt(self, held_out: Sentences) -> Excerpt:
        """Return a text that it moves, or else one that it does not, with the answers to all.

        Where one source class is moved far beyond the others, a text of that class, and what moves it.
        """
        source = self.source
        if source is None or source.share < max(MOSTLY, self.share):
            return self._in_text(held_out, self.best, self.answers, None)
        return self._in_text(held_out, source.best, source.answers, source.index)

    def _in_text(
        self, held_out: Sentences, best: Insertion, answers: tuple[list[int], list[int]], source: int | None
    ) -> Excerpt:
        movable = held_out.others(self.target, source).nonzero().flatten().tolist()
        moved = (row for row, answer in zip(movable, answers[1], strict=True) if answer == self.target)
        text = held_out.texts[next(moved, movable[0])]
        where = Location.of_class(self.target) if source is None else Location.of_pair(source, self.target)
        return with_insertion(text, best.probe.words, best.place, str(best), where, answers)


def flips(
    classifier: TextClassifier,
    sentences: tuple[Sentences, Sentences, Sentences],
    probes: Sequence[TextProbe],
    seen: Screened,
    kept: int,
    run: Run,
) -> list[Flip]:
    """Return what the probes do towards each class that any of the held-out texts can be moved to.

    `sentences` are the few of the screening, those that the best insertion is chosen by, and those it is measured on.
    """
    few, selecting, held_out = sentences
    found = []
    for target in range(classifier.num_classes):
        rows = best_for(seen, few, target, kept)
        if rows and selecting.others(target).any() and held_out.others(target).any():
            chosen = [probes[row] for row in rows]
            found.append(_flip(classifier, selecting, held_out, chosen, target, run))
    return found


def _flip(
    classifier: TextClassifier,
    selecting: Sentences,
    held_out: Sentences,
    probes: Sequence[TextProbe],
    target: int,
    run: Run,
) -> Flip:
    insertions, odds = whole(classifier, selecting, probes, run)
    movable = selecting.others(target)
    rises = (odds - selecting.odds)[:, movable, target].mean(dim=1)
    ranked = _ranked(insertions, shares_to(odds.argmax(dim=2), selecting, target), rises)
    best = ranked[0]
    after = changed(classifier, held_out, [best], run).argmax(dim=2)
    share = float(shares_to(after, held_out, target))
    moved = held_out.others(target)
    usual = usual_share(classifier, held_out, target, best.place, run)
    count = int(moved.sum())
    return Flip(
        target=target,
        best=best,
        share=share,
        odds=odds_at(share, count) - odds_at(usual, count),
        lead=_lead(insertions, rises),
        needed=_needed(classifier, held_out, ranked, target, run),
        source=_from_source(classifier, selecting, held_out, (insertions, odds), target, run),
        answers=(held_out.own[moved].tolist(), after[0, moved].tolist()),
    )


def _ranked(insertions: Sequence[Insertion], shares: torch.Tensor, rises: torch.Tensor) -> list[Insertion]:
    """Return each word once, at its best place, by share and then by rise."""
    order = sorted(range(len(insertions)), key=lambda row: (-float(shares[row]), -float(rises[row]), row))
    first: dict[str, Insertion] = {}
    for row in order:
        first.setdefault(insertions[row].probe.words, insertions[row])
    return list(first.values())


def _lead(insertions: Sequence[Insertion], rises: torch.Tensor) -> float:
    """Return the rise by the best word less that by the tenth best, or by the last of fewer."""
    most: dict[str, float] = {}
    for one, rise in zip(insertions, rises.tolist(), strict=True):
        most[one.probe.words] = max(rise, most.get(one.probe.words, rise))
    ranked = sorted(most.values(), reverse=True)
    return ranked[0] - ranked[min(TENTH, len(ranked) - 1)]


def _needed(classifier: TextClassifier, held_out: Sentences, ranked: Sequence[Insertion], target: int, run: Run) -> int:
    """Return the fewest of the best words that together send enough held-out texts to a class."""
    place, words = ranked[0].place, [one.probe.words for one in ranked[:MOST_WORDS]]
    changes = [partial(inserted, words=" ".join(words[: count + 1]), place=place) for count in range(len(words))]
    shares = shares_to(changed(classifier, held_out, changes, run).argmax(dim=2), held_out, target)
    enough = (shares >= ENOUGH).nonzero().flatten()
    return int(enough[0]) + 1 if len(enough) else MOST_WORDS + 1


def _from_source(
    classifier: TextClassifier,
    selecting: Sentences,
    held_out: Sentences,
    seen: tuple[Sequence[Insertion], torch.Tensor],
    target: int,
    run: Run,
) -> FromSource | None:
    """Return the insertion and the source class that it moves most beyond the others; None of fewer than two."""
    insertions, answers = seen[0], seen[1].argmax(dim=2)
    both = (selecting, held_out)
    sources = [
        one for one in range(classifier.num_classes) if one != target and all(s.others(target, one).any() for s in both)
    ]
    if len(sources) < 2:
        return None
    shares = torch.stack([shares_to(answers, selecting, target, one) for one in sources])
    place = int((shares - shares.median(dim=0).values).argmax())
    source, best = sources[place // shares.shape[1]], insertions[place % shares.shape[1]]
    after = changed(classifier, held_out, [best], run).argmax(dim=2)
    every = torch.cat([shares_to(after, held_out, target, one) for one in sources])
    own, rows = float(every[sources.index(source)]), held_out.others(target, source)
    answered = (held_out.own[rows].tolist(), after[0, rows].tolist())
    return FromSource(source, best, max(0.0, own - float(every.median())), answered)
