"""The model of a tokenizer: its vocabulary, and the settings by which words become tokens of it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from gate.formats.huggingface.keys import FLAG, NULL, NUMBER, faults
from gate.formats.shapes import Shape, either, exactly, text

MAX_TOKENS: Final = 600_000
MAX_TOKEN: Final = 1_000
"""Characters of one token."""
_MAX_ID: Final = 1 << 22
_MAX_WORD: Final = 1_000
"""Characters of the longest word that is split: the work grows with their square."""
_FEW: Final = text(r"[^\x00-\x1f\x7f]{0,10}", "up to ten characters")
_TOKEN: Final = Shape("a token", lambda given: is_token(given))  # noqa: PLW0108  # it is defined below


def is_token(given: Any) -> bool:
    """Tell whether a value is a text that a token may have."""
    return isinstance(given, str) and 0 < len(given) <= MAX_TOKEN


def is_id(given: Any) -> bool:
    """Tell whether a value is a number that a token may have."""
    return type(given) is int and 0 <= given < _MAX_ID


def _vocabulary(given: Any) -> bool:
    if not isinstance(given, dict) or not 0 < len(given) <= MAX_TOKENS:
        return False
    ids = given.values()
    return all(map(is_token, given)) and all(map(is_id, ids)) and len(set(ids)) == len(given)


def _pieces(given: Any) -> bool:
    if not isinstance(given, list) or not 0 < len(given) <= MAX_TOKENS:
        return False
    if not all(isinstance(one, list) and len(one) == 2 and is_token(one[0]) and NUMBER.holds(one[1]) for one in given):
        return False
    return len({piece for piece, _ in given}) == len(given)


def _merges(given: Any) -> bool:
    return isinstance(given, list) and len(given) <= MAX_TOKENS and all(pair(one) is not None for one in given)


def pair(given: Any) -> tuple[str, str] | None:
    """Return the two tokens of a merge, in either of the forms in which it is written; None for anything else."""
    parts = given.split(" ") if isinstance(given, str) else given
    return (parts[0], parts[1]) if isinstance(parts, list) and len(parts) == 2 and all(map(is_token, parts)) else None


_BY_ID: Final = Shape(f"up to {MAX_TOKENS} tokens, each with a number of its own", _vocabulary)
_SCORED: Final = Shape(f"up to {MAX_TOKENS} different tokens, each with a score", _pieces)
_UNKNOWN: Final = either(_TOKEN, NULL)
_MODELS: Final[Mapping[str, Mapping[str, Shape]]] = {
    "BPE": {
        "byte_fallback": FLAG,
        "continuing_subword_prefix": either(_FEW, NULL),
        "dropout": NULL,
        "end_of_word_suffix": either(_FEW, NULL),
        "fuse_unk": FLAG,
        "ignore_merges": FLAG,
        "merges": Shape("pairs of tokens", _merges),
        "unk_token": _UNKNOWN,
        "vocab": _BY_ID,
    },
    "Unigram": {
        "byte_fallback": FLAG,
        "unk_id": either(Shape("a number", is_id), NULL),
        "vocab": _SCORED,
    },
    "WordLevel": {"unk_token": _TOKEN, "vocab": _BY_ID},
    "WordPiece": {
        "continuing_subword_prefix": _FEW,
        "max_input_chars_per_word": Shape(
            f"1 to {_MAX_WORD}", lambda given: type(given) is int and 0 < given <= _MAX_WORD
        ),
        "unk_token": _TOKEN,
        "vocab": _BY_ID,
    },
}
MODELS: Final = tuple(_MODELS)


def model_faults(given: Any) -> Iterator[str]:
    """Yield what in a tokenizer's model the gate does not know, or does not find."""
    type_ = given.get("type") if isinstance(given, dict) else None
    if not isinstance(type_, str) or type_ not in _MODELS:
        yield f"model: its type is {str(type_)[:60]!r}; the gate reads {', '.join(MODELS)}"
        return
    found = [f"model: {fault}" for fault in faults(given, {"type": exactly(type_), **_MODELS[type_]}, f"a {type_}")]
    needed = ("vocab", "merges") if type_ == "BPE" else ("vocab",)
    found += [f"model: it has no {key!r}" for key in needed if key not in given]
    yield from found
    if not found:
        yield from _BETWEEN[type_](given)


def _of_words(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield an unknown token that is none."""
    unknown = given.get("unk_token")
    if unknown is not None and unknown not in given["vocab"]:
        yield f"model: its unknown token {unknown[:60]!r} is not in the vocabulary"


def _of_pairs(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield a merge of tokens, or into one, that the vocabulary lacks."""
    yield from _of_words(given)
    vocabulary, prefix = given["vocab"], given.get("continuing_subword_prefix") or ""
    for one in given["merges"]:
        left, right = pair(one) or ("", "")
        if not right.startswith(prefix):
            # The library cuts as many bytes off, whatever they are, and panics where there are fewer.
            yield f"model: it merges {left[:30]!r} and {right[:30]!r}, which does not begin with its prefix {prefix!r}"
            return
        if not {left, right, left + right.removeprefix(prefix)} <= vocabulary.keys():
            yield f"model: it merges {left[:30]!r} and {right[:30]!r}, which the vocabulary lacks in part or joined"
            return


def _of_pieces(given: Mapping[str, Any]) -> Iterator[str]:
    unknown = given.get("unk_id")
    if unknown is not None and unknown >= len(given["vocab"]):
        yield f"model: its unknown token has the number {unknown}, of {len(given['vocab'])}"


_BETWEEN: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]]] = {
    "BPE": _of_pairs,
    "Unigram": _of_pieces,
    "WordLevel": _of_words,
    "WordPiece": _of_words,
}


def ids_of(model: Mapping[str, Any]) -> dict[str, int]:
    """Return the vocabulary of a model without faults, tokens to ids."""
    if model["type"] == "Unigram":
        return {piece: number for number, (piece, _) in enumerate(model["vocab"])}
    return dict(model["vocab"])
