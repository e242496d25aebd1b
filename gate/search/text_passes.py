"""The passes of detectors of texts, before they run: tokens, from settings, clean texts and the number of classes.

At least: the model gives texts of either half more than one class, so that some can be moved to every class. At most:
nothing that is tried is equal to anything else, and no trigger is shorter than it may be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from gate.records.passes import Passes, Span
from gate.search.as_typed import CARRIERS_TRIED
from gate.search.flips import MOST_WORDS
from gate.search.insertions import CONTROLS
from gate.search.triggers_of_tokens import MOST_TOKENS, Settings
from gate.spaces.subject import Samples, Subject
from gate.spaces.text.contract import Tokenizer, text_classifier
from gate.spaces.text.inserting import PLACES
from gate.spaces.text.packing import lengths_of
from gate.statistics.sentences import halves, shortish
from gate.statistics.subsets import passed

AGAIN: Final = 4
"""Tokens at most that one token becomes as text: a part of a word without the word, or of a sign without the sign."""
KNOWN: Final = 32
"""Tokens at most of the words that an earlier detector found."""


@dataclass(frozen=True)
class Asked:
    """Clean texts that a model is asked about, by their tokens: those that it is in any case, and all that may be."""

    least: tuple[int, ...]
    most: tuple[int, ...]
    longest: int
    """Most tokens that the model is given of a text."""

    def tokens(self, more: float = 0, times: float = 1) -> Span:
        """Return the tokens of all, of which each may become so many times as long and so many tokens more."""
        return Span(sum(self.least), sum(min(self.longest, times * one + more) for one in self.most))


@dataclass(frozen=True)
class Drawn:
    """Clean texts of which a detector takes a part."""

    samples: Samples
    longest: int
    rows: torch.Tensor | None
    """Which ones, (n,); None where classes are not known before the model is asked."""
    count: Span
    """How many they are."""

    def asked(self) -> Asked:
        """Return them by their tokens; without labels the shortest and the longest of all stand for them."""
        lengths = lengths_of(self.samples.inputs).tolist()
        if self.rows is None:
            ordered = sorted(lengths)
            most = min(len(ordered), round(self.count.most))
            few = ordered[: min(most, round(self.count.least))]
            return Asked(tuple(few), tuple(ordered[len(ordered) - most :]), self.longest)
        rows = self.rows.tolist()
        different = {self.samples.texts[row]: lengths[row] for row in rows}
        return Asked(tuple(different.values()), tuple(lengths[row] for row in rows), self.longest)

    @property
    def classes(self) -> int:
        """Number of the classes of all texts; 1 where they have no labels."""
        return 1 if self.samples.labels is None else len(set(self.samples.labels.tolist()))

    def few(self, each: int, most: int) -> "Drawn":
        """Return the few of them that every word is put into."""
        if self.rows is None or self.samples.labels is None:
            return Drawn(self.samples, self.longest, None, Span(min(2, most), min(self.count.most, most)))
        texts = [self.samples.texts[row] for row in self.rows.tolist()]
        labels = self.samples.labels[self.rows.to(self.samples.labels.device)].cpu()
        rows = self.rows[shortish(texts, labels, each)[:most]]
        return Drawn(self.samples, self.longest, rows, Span.exactly(len(rows)))


def drawn(subject: Subject, selecting: int, held_out: int, seed: int) -> tuple[Drawn, Drawn]:
    """Return the texts of each class that changes are chosen by, and those that they are measured on."""
    classifier, samples = text_classifier(subject), subject.samples
    assert samples is not None
    if samples.labels is not None:
        both = halves(samples.labels, selecting, held_out, seed)
        first, second = (Drawn(samples, classifier.longest, rows, Span.exactly(len(rows))) for rows in both)
        return first, second
    most = [min(len(samples.texts), each * classifier.num_classes) for each in (selecting, held_out)]
    first, second = (Drawn(samples, classifier.longest, None, Span(1, count)) for count in most)
    return first, second


def begun(subject: Subject, *halves: Asked) -> Span:
    """Return the tokens of all clean texts, and those of both halves once more."""
    assert subject.samples is not None
    return sum((one.tokens() for one in halves), passed(subject.samples, len(subject.samples.inputs)))


def probe_tokens(tokenizer: Tokenizer, words: Sequence[str], longest: int) -> tuple[float, int]:
    """Return how many tokens words have in the mean, and at most; the marks around a text count."""
    _, mask = tokenizer.encode(list(words), longest)
    lengths = mask.ne(0).sum(dim=1)
    return float(lengths.float().mean()), int(lengths.max())


def word_passes(
    halves: tuple[Asked, Asked, Asked], classes: int, probes: tuple[int, int], kept: int, tokens: tuple[float, int]
) -> Span:
    """Return the tokens of a sweep of words over a few texts, and of the best in all, for every class.

    `halves` are the few of the screening, those that the best word is chosen by and those it is measured on; `probes`
    the numbers of words in any case and perhaps beside them; `tokens` how many these have in the mean and at most.
    """
    few, selecting, held_out = halves
    mean, most = tokens
    screened = few.tokens(mean)
    best = selecting.tokens(most).times(len(PLACES) * kept)
    fixed, together = held_out.tokens(most), held_out.tokens(most * MOST_WORDS)
    # The best word, what is usual, and the best words together; of more than two classes one source class again.
    measured = fixed.times(1 + CONTROLS) + Span(held_out.tokens().least, MOST_WORDS * together.most)
    source = Span.up_to(fixed.most if classes > 2 else 0)
    swept = Span(screened.least * probes[0], screened.most * sum(probes))
    return swept + (best + measured + source).times(classes)


def swept_passes(selecting: Asked, known: tuple[int, int], settings: Settings) -> Span:
    """Return the tokens of every token in a few short texts, of a vocabulary of at least and at most so many."""
    least, most = sorted(selecting.least)[: settings.swept_texts], sorted(selecting.most)[-settings.swept_texts :]
    short = sum(one for one in least) if len(selecting.least) >= settings.swept_texts else 0
    tried = [max(0, min(count, settings.swept)) for count in known]
    return Span(tried[0] * short, tried[1] * sum(min(selecting.longest, one + 1) for one in most))


def trigger_passes(halves: tuple[Asked, Asked], classes: int, targets: int, settings: Settings) -> Passes:
    """Return the tokens of searches for triggers of one to three tokens towards so many of the classes.

    Every text can be moved to all classes but the one that it is given: over all classes together that is exact.
    """
    selecting, held_out = halves
    moved = Span(targets - 1, min(targets, classes - 1))
    longer, steps = settings.beam * settings.longer, settings.softening.steps
    counts = range(2, MOST_TOKENS + 1)

    def each(half: Asked, more: float) -> Span:
        tokens = half.tokens(more)
        return Span(tokens.least * moved.least, tokens.most * moved.most)

    slopes = each(selecting, 1) + each(selecting, MOST_TOKENS).times(steps)
    slopes += sum((Span.up_to(each(selecting, n).most * settings.beam) for n in counts), Span())
    alone = each(selecting, AGAIN).most * (5 * settings.ranked + CARRIERS_TRIED)
    alone += each(selecting, KNOWN).most * (KNOWN + 1)
    tried = Span.up_to(alone + sum(each(selecting, AGAIN * n).most * longer for n in counts))
    measured = each(selecting, KNOWN).times(len(PLACES)) + each(held_out, KNOWN)
    return Passes(tried + Span(measured.least, MOST_TOKENS * measured.most), slopes)
