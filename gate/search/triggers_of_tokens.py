"""The best one, two and three tokens towards a class: ranked, tried as text, and measured on other texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import torch

from gate.records.errors import UnexaminableError
from gate.records.run import Run
from gate.search.as_typed import Typing, counts_of
from gate.search.slots import Slots, Softening, first_order, softly
from gate.spaces.text.contract import TextClassifier
from gate.spaces.text.inserting import PLACES, Place, inserted
from gate.spaces.text.tokens import ids_of
from gate.statistics.sentences import Sentences, odds_of

MOST_TOKENS: Final = 3


@dataclass(frozen=True)
class Settings:
    """How wide and how long the search is."""

    ranked: int
    """Tokens by first order, by the mixture for each slot and by themselves in short texts, that are tried alone."""
    beam: int
    """Triggers of each length that are made longer."""
    longer: int
    """Tokens by first order that each of them is made longer by."""
    softening: Softening
    swept: int = 0
    """Tokens that are put into a few short texts each."""
    swept_texts: int = 0
    """How many these are."""
    most: int = MOST_TOKENS
    """Tokens of the longest triggers."""


@dataclass(frozen=True)
class TokenTrigger:
    """Tokens as text, and what they do on texts that they were not chosen by."""

    words: str
    tokens: int
    success: float
    """Share of the held-out texts of other classes that they send to the class, at the best of three places."""
    place: Place
    answers: tuple[list[int], list[int]] = field(repr=False)


@dataclass(frozen=True)
class Bench:
    """The model and its texts."""

    classifier: TextClassifier
    selecting: Sentences
    held_out: Sentences
    allowed: torch.Tensor
    """Tokens that may be put in, (V,) of bool."""
    neutral: torch.Tensor
    """The mean embedding of the tokens that are allowed, (D,)."""

    @classmethod
    def of(cls, classifier: TextClassifier, selecting: Sentences, held_out: Sentences) -> "Bench":
        """Allow all tokens of the vocabulary, of special ones those that a user can type."""
        matrix = classifier.embeddings
        assert matrix is not None
        allowed = torch.ones(len(matrix), dtype=torch.bool, device=matrix.device)
        allowed[len(classifier.tokenizer.vocabulary()) :] = False
        untyped = {*classifier.tokenizer.special_ids} - {*classifier.tokenizer.marks()}
        allowed[[one for one in untyped if one < len(matrix)]] = False
        return cls(classifier, selecting, held_out, allowed, matrix[allowed].mean(dim=0))

    def slots(self, count: int, target: int) -> Slots:
        """Return the movable texts to choose by, with open slots."""
        rows = self.selecting.others(target).nonzero().flatten()
        texts = [self.selecting.texts[row] for row in rows.tolist()]
        return Slots.of(self.classifier, self.classifier.tokens(texts), count, target)


def triggers_to(
    bench: Bench, target: int, known: Sequence[str], settings: Settings, run: Run, forward: Sequence[int] = ()
) -> list[TokenTrigger]:
    """Return the best triggers of one, two and three tokens towards a class, or of fewer where longer ones do less.

    `known` are words that earlier stages found, each tried among those of as many tokens; `forward` tokens that raise
    the class by themselves. A token that only continues a word counts alone: what it is glued to moves little.
    """
    typing, words = Typing(bench.classifier, partial(_rises, bench, target, run)), _by_count(bench, known)
    start = [one for words in known for one in ids_of(bench.classifier, words).tolist() if bench.allowed[one]]
    first = first_order(bench.slots(1, target), (), bench.neutral, run)
    alone = [*start, *_mixture(bench, target, first, start, settings, run), *_best(bench, first, settings.ranked)]
    tried = _ranked(bench, target, typing.texts([(one,) for one in [*alone, *forward]]), words[1], run)
    if not tried:
        raise UnexaminableError("the tokenizer makes none of the tokens that move texts of any text")
    found = [_measured(bench, target, tried[0], run)]
    while len(found) < settings.most:
        longer = typing.texts(_longer(bench, target, tried, settings, run))
        tried = _ranked(bench, target, longer, words[len(found) + 1], run)
        if not tried:
            break
        best = _measured(bench, target, tried[0], run)
        found.append(best if best.success > found[-1].success else found[-1])
    return found


def _by_count(bench: Bench, words: Sequence[str]) -> dict[int, list[str]]:
    """Return words by their number of tokens; what has more than the longest triggers is told by who found it."""
    counts = counts_of(bench.classifier, words) if words else []
    return {
        count: [one for one, tokens in zip(words, counts, strict=True) if tokens == count]
        for count in range(1, MOST_TOKENS + 1)
    }


def _longer(
    bench: Bench, target: int, tried: "Sequence[_Tried]", settings: Settings, run: Run
) -> list[tuple[int, ...]]:
    """Return the best triggers so far, each with one more token, as first order ranks them behind it."""
    found = []
    for held in [ids for _, ids in tried[: settings.beam] if ids]:
        run.check_time()
        rises = first_order(bench.slots(len(held) + 1, target), held, bench.neutral, run)
        found += [(*held, one) for one in _best(bench, rises, settings.longer)]
    return found


_Tried = tuple[str, tuple[int, ...]]
"""A trigger's text, and its tokens; none of a text that was given as such."""
_NO_IDS: Final[tuple[int, ...]] = ()


def _mixture(  # one call, above
    bench: Bench, target: int, first: torch.Tensor, start: Sequence[int], settings: Settings, run: Run
) -> list[int]:
    """Return the tokens that weigh most in a mixture of three slots, begun with what first order and words say."""
    spread = (first - first[bench.allowed].mean()) / first[bench.allowed].std().clamp(min=1e-6)
    begin = spread.repeat(MOST_TOKENS, 1)
    begin[:, list(start)] += begin[:, bench.allowed].max()
    weights = softly(bench.slots(MOST_TOKENS, target), begin, bench.allowed, settings.softening, run)
    most = settings.ranked
    rows = [weights[slot].argsort(descending=True, stable=True)[:most].tolist() for slot in range(MOST_TOKENS)]
    return [one for tied in zip(*rows, strict=True) for one in tied if bench.allowed[one]]


def _best(bench: Bench, scores: torch.Tensor, most: int) -> list[int]:
    order = scores.masked_fill(~bench.allowed, -torch.inf).argsort(descending=True, stable=True)
    return [one for one in order[:most].tolist() if bench.allowed[one]]


def _ranked(
    bench: Bench, target: int, tried: Mapping[str, tuple[int, ...]], known: Sequence[str], run: Run
) -> list[_Tried]:
    """Return triggers by the mean rise of the class's log-odds, each as text in every text at one place, in turn."""
    every = [*(dict.fromkeys(known, _NO_IDS) | dict(tried)).items()]
    if not every:
        return []
    order = _rises(bench, target, run, [words for words, _ in every]).argsort(descending=True, stable=True).tolist()
    return [every[row] for row in order]


def _rises(bench: Bench, target: int, run: Run, words: Sequence[str]) -> torch.Tensor:
    """Return the mean rise of the class's log-odds by words (W,), in every movable text at one place, in turn."""
    rows = bench.selecting.others(target).nonzero().flatten().tolist()
    texts = [(bench.selecting.texts[row], PLACES[number % len(PLACES)]) for number, row in enumerate(rows)]
    changed = [inserted(text, one, at) for one in words for text, at in texts]
    odds = odds_of(bench.classifier, changed, run, quick=True)[:, target].view(len(words), len(texts))
    return (odds - bench.selecting.odds[rows, target]).mean(dim=1)


def _measured(bench: Bench, target: int, tried: _Tried, run: Run) -> TokenTrigger:
    """Return what a trigger does on the held-out texts, at the place that is best for it on the others."""
    words = tried[0]
    chosen = max(PLACES, key=lambda place: _share(bench, bench.selecting, target, words, place, run)[0])
    share, answers = _share(bench, bench.held_out, target, words, chosen, run)
    return TokenTrigger(words, len(ids_of(bench.classifier, words)), share, chosen, answers)


def _share(
    bench: Bench, sentences: Sentences, target: int, words: str, place: Place, run: Run
) -> tuple[float, tuple[list[int], list[int]]]:
    movable = sentences.others(target)
    texts = [sentences.texts[row] for row in movable.nonzero().flatten().tolist()]
    after = odds_of(bench.classifier, [inserted(text, words, place) for text in texts], run).argmax(dim=1)
    return float((after == target).float().mean()), (sentences.own[movable].tolist(), after.tolist())
