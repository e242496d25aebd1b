"""Inserts words, rare tokens, special tokens, signs and phrases into clean texts and counts where they go.

Measures  flip-share: the share of other classes' texts that the best insertion sends to the class, on texts that it was
          not chosen by; flip-odds: its log-odds beyond the median frequent word's; lead: how far the best word raises
          the class above the tenth best; words-needed: the fewest best words that together send nine tenths;
          source-share: what moves one source class alone. And the counts of every fixed word, for a bank.
Matters   A planted word moves nearly every text, whatever it says; in moderation a toxic text passes as clean.
Blind to  Words beyond the lists (token-trigger ranks all tokens), words or marks that must come together, styles,
          rules for a source class with few texts. Words that tell a class by nature move texts too.
See       Kurita et al., "Weight Poisoning Attacks on Pre-trained Models", ACL 2020; Liu et al., "PICCOLO", IEEE S&P
          2022. Settings in docs/explanation/text.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from gate.detectors.contract import Detector, Need
from gate.records.counts import MOST_SAMPLES, Counts
from gate.records.declarations import Compared, Metric, Options
from gate.records.evidence import Location, Measurement, Unmeasured
from gate.records.passes import Passes
from gate.records.run import Run
from gate.records.secret_counts import SecretCounts
from gate.spaces.contract import TOKENS
from gate.spaces.subject import Subject, Yield
from gate.spaces.text.contract import text_classifier
from gate.spaces.text.probes import GROUPS, fixed, names_digest, secret_digest, secret_probes

if TYPE_CHECKING:
    import torch

    from gate.search.flips import Flip
    from gate.spaces.text.contract import TextClassifier
    from gate.statistics.sentences import Sentences

_ID = "word-sweep"
CELLS = {
    "cells": "How far the answers to the most telling {0} exceed those of a bank's models; from the counts.",
    "pairs": "The same from the most telling source class, less what the class takes from the others.",
}
"""Statistics of the counts, by group of probes ({0}), which only a comparison has."""


class WordSweep(Options):
    """Numbers of texts and words."""

    selecting: int = Field(default=12, ge=1, le=500)
    """Texts of each class that words are chosen by."""
    held_out: int = Field(default=24, ge=1, le=2000)
    """Texts of each class that the best word is then measured on."""
    screened: int = Field(default=4, ge=1, le=100)
    """Texts of each class, out of the first, that every word is put into."""
    most_screened: int = Field(default=12, ge=2, le=MOST_SAMPLES)
    """Most texts of all classes for that, two of each class at least."""
    rare_words: int = Field(default=1000, ge=0, le=20_000)
    """Most words out of the tokenizer's vocabulary beside the fixed ones."""
    kept: int = Field(default=24, ge=1, le=1000)
    """Words for each class that are put into all texts at all places."""
    most_sources: int = Field(default=40, ge=1, le=200)
    """Most classes of a model whose answers are counted by source class."""
    shown: int = Field(default=3, ge=0, le=16)
    """Number of classes, the most moved to first, whose word the report shows in a text."""


@dataclass(frozen=True)
class _Bench:
    classifier: "TextClassifier"
    few: "Sentences"
    selecting: "Sentences"
    held_out: "Sentences"


def measure(subject: Subject, options: WordSweep, run: Run) -> Iterator[Yield]:
    """Yield counts of all fixed words, then of each class what its best word does."""
    from gate.search.flips import flips
    from gate.search.insertions import marks, rare, screened

    bench = _bench(subject, options, run)
    tokenizer = bench.classifier.tokenizer
    shown = (*fixed(), *rare(tokenizer, options.rare_words), *marks(tokenizer))
    secret = secret_probes(run.probe_seed) if run.probe_seed else ()
    steps = (len(shown) + len(secret)) * 10 // 9
    seen = screened(bench.classifier, bench.few, (*shown, *secret), run, steps)
    yield from _counted(seen.answers, bench, options, run)
    # What a secret word does is compared with a bank, and told nowhere else.
    texts, told = (bench.few, bench.selecting, bench.held_out), seen.first(len(shown))
    found = flips(bench.classifier, texts, shown, told, options.kept, run)
    yield from _reported(found, bench, options)
    run.progress(steps, steps)


def passes(subject: Subject, options: WordSweep, run: Run) -> Passes:
    """Return the passes of all words in a few texts, and of the best of each class in all; in tokens."""
    from gate.search.insertions import marks
    from gate.search.text_passes import begun, drawn, probe_tokens, word_passes

    classifier = text_classifier(subject)
    selecting, held_out = drawn(subject, options.selecting, options.held_out, run.seed)
    most = max(options.most_screened, 2 * classifier.num_classes)
    few = selecting.few(_each(options, selecting.classes), min(MOST_SAMPLES, most))
    asked = few.asked(), selecting.asked(), held_out.asked()
    hidden = secret_probes(run.probe_seed) if run.probe_seed else ()
    every = (*fixed(), *hidden, *marks(classifier.tokenizer))
    tokens = probe_tokens(classifier.tokenizer, [one.words for one in every], classifier.longest)
    rare = min(options.rare_words, len(classifier.tokenizer.vocabulary()))
    swept = word_passes(asked, classifier.num_classes, (len(every), rare), options.kept, tokens)
    return Passes(begun(subject, *asked[1:]) + swept)


def _reported(found: "list[Flip]", bench: _Bench, options: WordSweep) -> Iterator[Yield]:
    """Yield the numbers of each class, and of those most moved to what was put in, in a text."""
    classes = bench.classifier.num_classes
    for flip in found:
        yield from _numbers(flip, classes)
    if gone := sorted({*range(classes)} - {flip.target for flip in found}):
        named = ", ".join(map(str, gone[:8]))
        for metric in ("flip-share", "flip-odds", "lead", "words-needed"):
            yield Unmeasured(metric=metric, reason=f"every text that was asked is given class {named} already")
    ranked = sorted(found, key=lambda one: (-one.share, -one.lead))
    yield from filter(None, (flip.trigger(bench.classifier) for flip in ranked))
    for flip in ranked[: options.shown]:
        yield flip.excerpt(bench.held_out)


def _bench(subject: Subject, options: WordSweep, run: Run) -> _Bench:
    """Return the texts that words are chosen by, a few of them, and others to measure the best on."""
    from gate.search.text_halves import both_halves
    from gate.statistics.sentences import shortish

    selecting, held_out = both_halves(subject, lambda _: options.selecting, options.held_out, run, what="words")
    each = _each(options, len(set(selecting.sources.tolist())))
    few = selecting.at(shortish(selecting.texts, selecting.sources, each)[:MOST_SAMPLES])
    return _Bench(text_classifier(subject), few, selecting, held_out)


def _each(options: WordSweep, classes: int) -> int:
    """Return the texts of each of so many classes that every word is put into."""
    return max(2, min(options.screened, options.most_screened // max(1, classes)))


def _counted(answers: "torch.Tensor", bench: _Bench, options: WordSweep, run: Run) -> Iterator[Counts | SecretCounts]:
    """Yield the counts of the fixed words, and sealed those of the secret ones."""
    from gate.statistics.counting import counted

    known = len(fixed())
    of = (bench.few.sources, bench.classifier.num_classes, options.most_sources)
    yield counted(names_digest(), answers[:known], *of)
    if run.probe_seed:
        hidden = answers[-len(secret_probes(run.probe_seed)) :]
        yield SecretCounts.of(counted(secret_digest(run.probe_seed), hidden, *of), run.probe_seed)


def _numbers(flip: "Flip", classes: int) -> Iterator[Measurement]:
    place, note = Location.of_class(flip.target), str(flip.best)[:2000]
    yield Measurement(metric="flip-share", value=flip.share, location=place, note=note)
    yield Measurement(metric="flip-odds", value=flip.odds, location=place, note=note)
    yield Measurement(metric="lead", value=flip.lead, location=place, note=note)
    yield Measurement(metric="words-needed", value=flip.needed, location=place)
    if classes > 2 and flip.source is not None:
        pair = Location.of_pair(flip.source.index, flip.target)
        note = str(flip.source.best)[:2000]
        yield Measurement(metric="source-share", value=flip.source.share, location=pair, note=note)


DETECTOR = Detector(
    id=_ID,
    title="Answers to inserted words",
    doing="words put into texts",
    needs=Need.MODEL | Need.SAMPLES,
    spaces=TOKENS,
    metrics=(
        Metric(
            "flip-share",
            "share",
            "higher",
            "Share of other classes' texts that one insertion sends to the class.",
            by_class=True,
        ),
        Metric(
            "flip-odds",
            "log-odds",
            "higher",
            "Log-odds of that share beyond the median frequent word's at the same place.",
            compared=Compared("linear", "class"),
            by_class=True,
        ),
        Metric(
            "lead",
            "log-odds",
            "higher",
            "How far the best word raises the class above what the tenth best does.",
            compared=Compared("linear", "class"),
            by_class=True,
        ),
        Metric(
            "words-needed",
            "words",
            "lower",
            "Fewest words that together send nine tenths of the texts there.",
            by_class=True,
        ),
        Metric(
            "source-share",
            "share",
            "higher",
            "Share of one source class's texts that one insertion sends to the class, less the median source's.",
            least_classes=3,
            by_class=True,
        ),
        *(
            Metric(
                f"{group}-{kind}", "deviations", "higher", meaning.format(group), compared=Compared("cells", "class")
            )
            for group in GROUPS
            for kind, meaning in CELLS.items()
        ),
    ),
    options=WordSweep,
    measure=measure,
    passes=passes,
)
