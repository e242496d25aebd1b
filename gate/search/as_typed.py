"""Texts by which a user gets tokens: they are tried in place of ids, and what no text gives is no trigger.

A token that begins a word is typed as it is. One that only continues a word is glued to a common word, behind it or
before it (`##ly` as `thely`); one of line breaks, tabs or spaces takes the place of the space between two words.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final

import torch

from gate.spaces.text.contract import TextClassifier
from gate.spaces.text.inserting import inserted, trimmed
from gate.spaces.text.probes import frequent_words
from gate.spaces.text.tokens import AROUND

CARRIERS: Final = 4
"""Common words that a part of a word is glued to, at most, until one gives the token."""
CARRIERS_TRIED: Final = 12
"""Common words among which they are, those that move texts least."""
_COMMON: Final = 300
"""Words of the list that are common."""
_SHORT: Final = 4
"""Letters of such a word at most."""
_LONGEST: Final = 512

Ids = tuple[int, ...]
Made = tuple[str, int]
"""A text, empty where there is none, and how many other tokens may come with it."""
Form = Callable[[Ids], Made]
"""A way to type tokens."""


def counts_of(classifier: TextClassifier, texts: Sequence[str]) -> list[int]:
    """Return how many tokens each text adds between two words."""
    return [added.total() for added, _ in _added(classifier, texts)]


def _added(classifier: TextClassifier, texts: Sequence[str]) -> Iterator[tuple["Counter[int]", int]]:
    """Yield the tokens that each text adds between two words, and by how many more there are then in all."""
    between = [inserted(AROUND, text, "middle") for text in texts]
    ids, mask = classifier.tokenizer.encode([AROUND, *between], _LONGEST)
    rows = [Counter(row[seen != 0].tolist()) for row, seen in zip(ids, mask, strict=True)]
    yield from ((row - rows[0], row.total() - rows[0].total()) for row in rows[1:])


def common_words(classifier: TextClassifier) -> list[tuple[str, int]]:
    """Return short common words that are one token each, which begins a word; of a vocabulary without any, others."""
    starting = {*classifier.tokenizer.word_starting()}
    words = [word for word in frequent_words()[:_COMMON] if len(word) <= _SHORT]
    ordered = sorted(starting)
    words += [classifier.tokenizer.typed([one]).strip() for one in ordered[:: 1 + len(ordered) // CARRIERS_TRIED]]
    found = {
        word: next(iter(added))
        for word, (added, more) in zip(words, _added(classifier, words), strict=True)
        if word and more == added.total() == 1 and next(iter(added)) in starting
    }
    return list(found.items())[:CARRIERS_TRIED]


@dataclass
class Typing:
    """Finds the texts of tokens."""

    classifier: TextClassifier
    rises: Callable[[Sequence[str]], torch.Tensor]
    """How much words raise the class that is searched for, (W,)."""
    _known: dict[Ids, str] = field(default_factory=dict)

    @cached_property
    def carriers(self) -> list[int]:
        """The tokens of common words that move texts least by themselves."""
        words = common_words(self.classifier)
        if not words:
            return []
        order = self.rises([word for word, _ in words]).abs().argsort(stable=True).tolist()
        return [words[row][1] for row in order[:CARRIERS]]

    def texts(self, tokens: Sequence[Ids]) -> dict[str, Ids]:
        """Return a text that gives each of these, with the tokens; what no text gives is left out.

        Where one text stands for several, it is that of the first of them.
        """
        left = [ids for ids in dict.fromkeys(tokens) if ids not in self._known]
        for form in self._forms():
            left = self._untyped(left, form)
            if not left:
                break
        if parts := [(one,) for ids in left if len(ids) > 1 for one in ids]:
            self.texts(parts)
            left = self._untyped(left, self._apart)
        self._known |= dict.fromkeys(left, "")
        return {text: ids for ids in reversed(tokens) if (text := self._known[ids])}

    def _untyped(self, tokens: Sequence[Ids], form: Form) -> list[Ids]:
        """Remember the texts of those that a form gives, without many others beside them, and return the rest."""
        made = [form(ids) for ids in tokens]
        seen = _added(self.classifier, [text for text, _ in made])
        for ids, (text, beside), (added, more) in zip(tokens, made, seen, strict=True):
            if text and not Counter(ids) - added and more <= len(ids) + beside:
                self._known[ids] = text
        return [ids for ids in tokens if ids not in self._known]

    def _forms(self) -> Iterator[Form]:
        """Yield ways to type tokens, from the plainest; common words are looked for where the others do not do."""
        yield self._glued
        yield self._mark
        yield partial(self._blank, after=" ")
        yield partial(self._blank, before=" ")
        for one in self.carriers:
            yield partial(self._glued, before=(one,))
            yield partial(self._glued, after=(one,))

    def _glued(self, ids: Ids, before: Ids = (), after: Ids = ()) -> Made:
        """Return tokens as the tokenizer shows them, with others; the sign of a space may come with them."""
        return trimmed(self.classifier.tokenizer.typed([*before, *ids, *after])), 1 + len(before + after)

    def _mark(self, ids: Ids) -> Made:
        """Return what a user types for a special or unknown token."""
        return self.classifier.tokenizer.marks().get(ids[0], "") if len(ids) == 1 else "", 1

    def _blank(self, ids: Ids, before: str = "", after: str = "") -> Made:
        """Return spaces and line breaks with one more space: the last may belong to the next word."""
        text = f"{before}{self.classifier.tokenizer.typed(ids)}{after}"
        return "" if text.strip() else text, 1

    def _apart(self, ids: Ids) -> Made:
        """Return tokens that no text gives together as words apart, by the text of each."""
        texts = [self._known.get((one,), "") for one in ids]
        return " ".join(texts) if all(texts) else "", len(ids) + 1
