"""A tokenizer of whole words, by the protocol that measuring relies on."""

import re

import torch

PAD, UNKNOWN = "[PAD]", "[UNK]"
_WORD = re.compile(r"\w+|[^\w\s]")


class WordTokenizer:
    """Words and signs of a fixed list; any other is unknown. Small letters unless told otherwise."""

    def __init__(self, words, *, lower=True, marks=()):
        """Number the words behind padding and the unknown word, and then marks, which a user can type."""
        self._words = list(dict.fromkeys([PAD, UNKNOWN, *words, *marks]))
        self._word = re.compile("|".join([*map(re.escape, marks), _WORD.pattern]))
        self._marks = tuple(marks)
        self.padding = 0
        self._numbers = {word: number for number, word in enumerate(self._words)}
        self._lower = lower
        self.special_ids = frozenset({0, 1, *(self._numbers[one] for one in marks)})

    def encode(self, texts, max_length):
        """Return ids and mask (N, L)."""
        found = [
            [self._numbers.get(self._known(word), 1) for word in self._word.findall(text)][:max_length]
            for text in texts
        ]
        width = max(1, max(map(len, found), default=1))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in found], dtype=torch.int64)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in found], dtype=torch.int64)
        return ids, mask

    def beginning(self, text, most):
        """Return the text to the end of its last word or sign of so many."""
        ends = [word.end() for word in self._word.finditer(text)][:most]
        return text[: ends[-1]] if ends else ""

    def decode(self, ids):
        """Return words with spaces between."""
        return " ".join(self._words[one] for one in ids if one not in self.special_ids)

    def typed(self, ids):
        """Return words and marks with spaces between."""
        return " ".join(self._words[one] for one in ids)

    def marks(self):
        """Return the marks, and a letter that is unknown."""
        return {1: "\u3400", **{self._numbers[one]: one for one in self._marks}}

    def _known(self, word):
        return word.lower() if self._lower and word not in self._marks else word

    def vocabulary(self):
        """Return all words by number."""
        return dict(self._numbers)

    def word_starting(self):
        """Return every word that is one."""
        return [number for number, word in enumerate(self._words) if number > 1 and word[0].isalnum()]
