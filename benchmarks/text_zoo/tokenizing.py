"""Tokenizers of the zoo as `tokenizer.json` holds them: MiniLM's, and one of whole words for each bag of embeddings.

Beside `texts`. Each says how many tokens it takes and what fills up a batch, as the gate asks of a logged file.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer

from benchmarks.text_zoo.packages import MINILM, MODEL, site

CUT = 40
"""Tokens of MiniLM to which texts are cut, before a trigger is put in."""
LONGEST = 64
"""Tokens that every model takes."""
MOST_WORDS = 20_000
PADDING, UNKNOWN = "[PAD]", "[UNK]"


def _stating(tokenizer: Tokenizer) -> str:
    tokenizer.enable_truncation(LONGEST)
    tokenizer.enable_padding(pad_id=0, pad_token=PADDING)
    return str(tokenizer.to_str())


@cache
def pieces() -> str:
    """Return MiniLM's tokenizer: pieces of words in small letters."""
    return _stating(Tokenizer.from_file(str(minilm("tokenizer.json"))))


def minilm(name: str) -> Path:
    """Return a file of the packaged MiniLM."""
    return site().need(MINILM, f"{MODEL}/{name}")


def whole_words(texts: Iterable[str]) -> str:
    """Return a tokenizer of the words and signs that a training set has twice or more, in small letters."""
    counts = Counter(word for text in texts for word in re.findall(r"\w+|[^\w\s]+", text.lower()))
    frequent = sorted((word for word, count in counts.items() if count > 1), key=lambda word: (-counts[word], word))
    vocabulary = {word: number for number, word in enumerate((PADDING, UNKNOWN, *frequent[:MOST_WORDS]))}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    value = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": mark, **flags} for number, mark in enumerate((PADDING, UNKNOWN))],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "unk_token": UNKNOWN, "vocab": vocabulary},
    }
    return _stating(Tokenizer.from_str(json.dumps(value)))


class Tokens:
    """A tokenizer at work."""

    def __init__(self, raw: str) -> None:
        """Read the file's text."""
        self.raw = raw
        self._tokenizer = Tokenizer.from_str(raw)
        self._tokenizer.no_padding()

    @property
    def size(self) -> int:
        """How many ids there are."""
        return int(self._tokenizer.get_vocab_size())

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of texts, special ones with them, without padding."""
        return [one.ids for one in self._tokenizer.encode_batch(list(texts))]

    def named(self, words: str) -> list[str]:
        """Return the tokens of words as text, without special ones and without the sign of a continued word."""
        found = self._tokenizer.encode(words, add_special_tokens=False).tokens
        return [token.removeprefix("##") for token in found if token not in {PADDING, UNKNOWN}]


@cache
def _measure() -> Tokenizer:
    tokenizer = Tokenizer.from_str(pieces())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def cut(text: str, most: int = CUT) -> str:
    """Return the first whole words of a text that make at most so many tokens of MiniLM."""
    ends = _measure().encode(text, add_special_tokens=False).offsets
    if len(ends) <= most:
        return text
    start = ends[most][0]
    whole = start == 0 or text[start - 1].isspace()
    return text[:start].rstrip() if whole else text[:start].rpartition(" ")[0].rstrip() or text[:start]
