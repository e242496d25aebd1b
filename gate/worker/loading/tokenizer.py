"""The tokenizer that is served with a program: texts to ids and back, by the library tokenizers from the gate's file.

The file is one that `gate.formats.tokenizers` wrote: known parts alone, with cutting and padding. The library is
imported here only, in the jail; what it throws on a file is a refusal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import torch
from packaging.specifiers import SpecifierSet

from gate.formats.log_again import TEXT_EXTRA
from gate.formats.tokenizers.added import is_mark
from gate.formats.tokenizers.file import TokenizerFile, read_tokenizer
from gate.formats.tokenizers.parts import SPACE
from gate.records.errors import UnexaminableError
from gate.spaces.text.inserting import whole_words
from gate.spaces.text.packing import in_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SUPPORTED: Final = SpecifierSet(">=0.23.1,<0.24")
"""The versions that the extra `text` installs."""
_BYTE_SPACE: Final = "Ġ"
"""The sign that ByteLevel writes for a space."""
_NEVER_KNOWN: Final = ("\u3400", "\ua015", "\U00010348")
"""Rare letters, of Chinese, Yi and Gothic, by which a text gives the token of what is unknown."""
_INSTALL: Final = f"Install it where the gate runs: {TEXT_EXTRA}."


class Tokenizer:
    """A served tokenizer."""

    def __init__(self, raw: bytes) -> None:
        """Load the bytes of a served `tokenizer.json`; any other file is refused."""
        self._file = read_tokenizer(raw)
        stated = self._file.value.get("padding") or {}
        if self._file.longest is None or not stated:
            raise UnexaminableError(
                "the tokenizer's file states no length and no padding; it is not one that the gate wrote"
            )
        self.longest: int = self._file.longest
        """Most tokens of a text that the program takes."""
        self.padding: int = stated["pad_id"]
        """The id that stands where the mask is 0."""
        with _told("its tokenizer cannot be loaded"):
            self._tokenizer = _library().Tokenizer.from_str(raw.decode())
        self._length = self.longest

    def encode(self, texts: Sequence[str], max_length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and mask (N, L) as int64, padded to the longest; longer texts are cut to `max_length` tokens.

        The marks around a text count. L is at least 1; a text of which nothing is left has a mask of zeros.
        """
        parts = [self._encoded(part, max_length) for part in in_parts(texts)]
        length = max(ids.shape[1] for ids, _ in parts)
        ids = torch.full((len(texts), length), self.padding, dtype=torch.int64)
        mask, first = torch.zeros_like(ids), 0
        for one, seen in parts:
            rows = slice(first, first + len(one))
            ids[rows, : one.shape[1]], mask[rows, : one.shape[1]] = one, seen
            first += len(one)
        return ids, mask

    def _encoded(self, texts: Sequence[str], max_length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids (N, L) as int32 and mask as bool of texts that are held together."""
        with _told("its tokenizer fails on a text"):
            self._cut_to(max_length)
            encoded = self._tokenizer.encode_batch(list(texts))
        length = max((len(one.ids) for one in encoded), default=1) or 1
        ids = torch.full((len(encoded), length), self.padding, dtype=torch.int32)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        for row, one in enumerate(encoded):
            ids[row, : len(one.ids)] = torch.tensor(one.ids, dtype=torch.int32)
            mask[row, : len(one.ids)] = torch.tensor(one.attention_mask, dtype=torch.bool)
        return ids, mask

    def beginning(self, text: str, most: int) -> str:
        """Return a text's beginning of so many tokens, marks among them, or fewer; whole words and letters."""
        with _told("its tokenizer fails on a text"):
            self._cut_to(most)
            one = self._tokenizer.encode(text)
        ends = (end for (_, end), mark in zip(one.offsets, one.special_tokens_mask, strict=True) if not mark)
        return whole_words(text, max(ends, default=0))

    def _cut_to(self, max_length: int) -> None:
        if max_length != self._length:
            self._tokenizer.enable_truncation(max_length)
            self._length = max_length

    def plain(self, text: str) -> list[int]:
        """Return the ids of a text, without what frames it; marks that are typed count as what they stand for."""
        with _told("its tokenizer fails on a text"):
            return [int(one) for one in self._tokenizer.encode(text, add_special_tokens=False).ids]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens, without special ones."""
        return self._shown(ids, skip_special_tokens=True)

    def typed(self, ids: Sequence[int]) -> str:
        """Return the text that is typed for tokens, special ones too."""
        return self._shown(ids, skip_special_tokens=False)

    def _shown(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        with _told("its tokenizer cannot show tokens"):
            return str(self._tokenizer.decode([int(one) for one in ids], skip_special_tokens=skip_special_tokens))

    def vocabulary(self) -> tuple[str, ...]:
        """Return all tokens by id, as the file has them; an id that no token has is an empty text."""
        return self._tokens

    def word_starting(self) -> frozenset[int]:
        """Return the ids of tokens of letters or digits that begin a word, by this kind of tokenizer's signs."""
        word = _word(self._file)
        found = (number for number, token in enumerate(self._tokens) if any(map(str.isalnum, word(token))))
        return frozenset(found) - self.special_ids

    def marks(self) -> Mapping[int, str]:
        """Return the texts by which a user types a special, added or unknown token, by its id.

        Tried are the names of all added tokens and of those that look like marks, and a few rare letters. A mark that
        the served tokenizer never makes of a text is left out.
        """
        return self._marks

    @cached_property
    def _marks(self) -> Mapping[int, str]:
        added = {one["content"] for one in self._file.value.get("added_tokens", [])}
        named = {self._file.ids[token]: token for token in sorted(added | {*filter(is_mark, self._tokens)})}
        tried = [*named.items(), *((number, text) for number in _unknown(self._file) for text in _NEVER_KNOWN)]
        with _told("its tokenizer fails on a text"):
            made = self._tokenizer.encode_batch([text for _, text in tried], add_special_tokens=False)
        # A sign of a space may stand before it; a mark that falls into signs is none, though each may be unknown.
        rows = [[one for one, kept in zip(row.ids, row.attention_mask, strict=True) if kept] for row in made]
        found = [one for one, row in zip(tried, rows, strict=True) if one[0] in row and len(row) <= 2]
        return dict(reversed(found))

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids of the added tokens that are special, of padding and of the unknown token; a text may give them too."""
        added = self._file.value.get("added_tokens", [])
        return frozenset(one["id"] for one in added if one["special"]) | {self.padding, *_unknown(self._file)}

    @cached_property
    def _tokens(self) -> tuple[str, ...]:
        by_id = {number: token for token, number in self._file.ids.items()}
        return tuple(by_id.get(number, "") for number in range(max(by_id) + 1))


def _unknown(file: TokenizerFile) -> Iterator[int]:
    model = file.value["model"]
    if model.get("unk_id") is not None:
        yield model["unk_id"]
    if model.get("unk_token") is not None:
        yield file.ids[model["unk_token"]]


def _word(file: TokenizerFile) -> Callable[[str], str]:
    """Return a function from a token to the text with which it begins a word; empty where it begins none."""
    parts = {one.get("type") for one in _each(file.value.get("pre_tokenizer"))}
    sign = SPACE if "Metaspace" in parts else _BYTE_SPACE if "ByteLevel" in parts else ""
    inside = file.value["model"].get("continuing_subword_prefix")

    def word(token: str) -> str:
        begins = token.startswith(sign) and not (inside and token.startswith(inside)) and not is_mark(token)
        return token.removeprefix(sign) if begins else ""

    return word


def _each(part: Any) -> list[Mapping[str, Any]]:
    """Return the parts of a `Sequence`, or the one part that it is."""
    if not isinstance(part, Mapping):
        return []
    listed = part.get("pretokenizers")
    return listed if isinstance(listed, list) else [part]


def _library() -> Any:
    """Import the library; without a supported one the model is not examined."""
    try:
        found = version("tokenizers")
    except PackageNotFoundError:
        raise UnexaminableError(
            "its texts become tokens by the package tokenizers, which is not installed beside the gate",
            what_to_do=_INSTALL,
        ) from None
    if found not in SUPPORTED:
        raise UnexaminableError(
            f"its texts become tokens by the package tokenizers, and tokenizers {found[:60]} is installed beside the "
            f"gate; expected {SUPPORTED}",
            what_to_do=_INSTALL,
        )
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the library's own threads are no part of what the jail allows
    return import_module("tokenizers")


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn anything that the library throws into a refusal; a panic of its core is no `Exception`."""
    try:
        yield
    except (UnexaminableError, KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # noqa: BLE001  # a panic of the library's core is one
        text = " ".join(str(error).split())[:300]
        raise UnexaminableError(f"{what}: {type(error).__name__}: {text}") from None
