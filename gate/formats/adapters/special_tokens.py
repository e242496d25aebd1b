"""The special tokens of a candidate's tokenizer beside the base's, as transformers puts them together of three files.

Taken from transformers 5.24, `tokenization_utils_base.py` (_from_pretrained): `special_tokens_map.json` is laid over
`tokenizer_config.json`, whatever its keys are, unless that has an `added_tokens_decoder`; and a token that any setting
names is special, so that no answer shows it. Releases lay them in other orders: so each file by itself, and all of them
together, must say what the base's say.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gate.formats.adapters.base import BaseModel, json_at
from gate.formats.adapters.places import TOKENIZER_FILES
from gate.formats.huggingface.tokenizer_settings import NAMES, mark_map_faults

_TOKENIZER, _SETTINGS, _MARKS, _ = TOKENIZER_FILES
_LISTS: Final = ("additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens")
KEYS: Final = frozenset({*NAMES, *_LISTS})
"""Settings that name special tokens, and nothing else."""
_PAD: Final = "pad_token"
_FLAGS: Final = ("lstrip", "normalized", "rstrip", "single_word")

_Token = tuple[str, tuple[str, ...]]
"""A token's text, and what a setting says of it beyond that."""
_Named = Mapping[str, frozenset[_Token]]
"""Tokens by setting; the lists of all releases are one."""


@dataclass(frozen=True)
class SpecialTokens:
    """What the files of one tokenizer say of its special tokens."""

    settings: Mapping[str, Any]
    """`tokenizer_config.json`."""
    marks: Mapping[str, Any]
    """`special_tokens_map.json`."""
    added: Mapping[str, Any]
    """Added tokens by their text, each with number and flags."""

    def named(self, file: Mapping[str, Any]) -> _Named:
        """Return the tokens that one file names, by setting; a setting that names none is absent."""
        found: dict[str, frozenset[_Token]] = {}
        for key in sorted(KEYS & file.keys()):
            of = _LISTS[1] if key in _LISTS else key
            found[of] = found.get(of, frozenset()) | frozenset(self._tokens(file[key]))
        return {key: tokens for key, tokens in found.items() if tokens}

    @property
    def loaded(self) -> _Named:
        """Tokens as transformers has them in the end."""
        over = {} if "added_tokens_decoder" in self.settings else self.named(self.marks)
        return {**self.named(self.settings), **over}

    @property
    def texts(self) -> frozenset[str]:
        """Texts of all its special tokens."""
        named = (token for file in (self.settings, self.marks) for one in self.named(file).values() for token in one)
        further = (value for key, value in self.settings.items() if key.endswith("_token") and isinstance(value, str))
        return frozenset({text for text, _ in named} | {*further} | {*(one for one in self.added if self._hides(one))})

    def _hides(self, text: str) -> bool:
        return bool(self.added[text].get("special"))

    def _tokens(self, value: Any) -> Iterator[_Token]:
        match value:
            case None:
                return
            case str():
                yield value, ()
            case {"content": str() as text}:
                # Where a token is added, transformers takes its flags from there: they are compared there.
                yield text, () if text in self.added else tuple(flag for flag in _FLAGS if value.get(flag))
            case list():
                for one in value:
                    yield from self._tokens(one)
            case dict():
                for name, one in value.items():
                    yield from ((text, (*more, f"as {name}")) for text, more in self._tokens(one))
            case _:
                yield repr(value), ("no token",)


def special_tokens_of(folder: Path) -> SpecialTokens:
    """Return what a tokenizer's folder says; a file that cannot be read is an `UnreadableError`."""
    settings, marks, tokenizer = (_mapping(json_at(folder / name)) for name in (_SETTINGS, _MARKS, _TOKENIZER))
    decoder = _mapping(settings.get("added_tokens_decoder")).values()
    listed = tokenizer.get("added_tokens")
    both = [*decoder, *(listed if isinstance(listed, list) else [])]
    return SpecialTokens(settings, marks, {str(one.get("content")): one for one in both if isinstance(one, dict)})


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def special_differences(folder: Path, base: BaseModel, ignored: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield the name of each file of a candidate's tokenizer that names other special tokens than the base, and how."""
    own, theirs = special_tokens_of(folder), special_tokens_of(base.tokenizer)
    known, told = theirs.loaded, set[str]()
    marks = json_at(folder / _MARKS)
    if marks is not None and marks != json_at(base.tokenizer / _MARKS):
        yield from ((_MARKS, why) for why in mark_map_faults(marks))
    for name, mine, other in ((_SETTINGS, own.settings, theirs.settings), (_MARKS, own.marks, theirs.marks)):
        same = theirs.named(other)
        for key, tokens in own.named(mine).items():
            if key not in ignored and tokens not in (known.get(key), same.get(key)) and not _fills(key, tokens, theirs):
                told.add(key)
                yield name, _sentence(key, tokens, known)
    mine_loaded = own.loaded
    for key in sorted((mine_loaded.keys() | known.keys()) - ignored - told):
        tokens = mine_loaded.get(key, frozenset())
        if tokens != known.get(key, frozenset()) and not _fills(key, tokens, theirs):
            yield _SETTINGS, _sentence(key, tokens, known)
    yield from ((_TOKENIZER, why) for why in _of_filling(json_at(folder / _TOKENIZER), base, theirs))


def _fills(key: str, tokens: frozenset[_Token], base: SpecialTokens) -> bool:
    """Tell whether a setting only says which of the base's special tokens fills up, or that none does."""
    return key == _PAD and all(text in base.texts and not more for text, more in tokens)


def _sentence(key: str, tokens: frozenset[_Token], known: _Named) -> str:
    return f"{key!r} is {_shown(tokens)}, and in the base {_shown(known.get(key, frozenset()))}"


def _shown(tokens: frozenset[_Token]) -> str:
    return ", ".join(" ".join((ascii(text[:60]), *more)) for text, more in sorted(tokens)[:3])[:200] or "none"


def _of_filling(tokenizer: Any, base: BaseModel, known: SpecialTokens) -> Iterator[str]:
    """Yield where `tokenizer.json` fills up with a token that is not special: transformers makes it so."""
    padding = _mapping(tokenizer).get("padding")
    if not padding or padding == _mapping(json_at(base.tokenizer / _TOKENIZER)).get("padding"):
        return
    filling = _mapping(padding).get(_PAD)
    if filling not in known.texts:
        yield f"'padding' fills up with {ascii(filling)[:60]}, which is none of the base's special tokens"


def special_numbers(base: BaseModel, numbered: Mapping[str, Any]) -> frozenset[int]:
    """Return the numbers of the base's special tokens, by its vocabulary and added tokens."""
    known = special_tokens_of(base.tokenizer)
    found = [numbered.get(text, _mapping(known.added.get(text)).get("id")) for text in known.texts]
    return frozenset(number for number in found if type(number) is int)
