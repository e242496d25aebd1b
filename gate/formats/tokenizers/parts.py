"""What stands before and behind a tokenizer's model: normalisers, pre-tokenisers, post-processors and decoders.

Closed lists by `type`, each with its keys (tokenizers 0.23). What could change a text in a way of its own (a pattern, a
replacement) has the values that known tokenizers have, and no others: a replacement turns any word into another, and a
regular expression may take forever.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gate.formats.huggingface.keys import FLAG, NULL, faults
from gate.formats.shapes import Shape, either, exactly, text
from gate.formats.tokenizers.charsmap import CHARSMAP

MAX_PARTS: Final = 16
SPACE: Final = "\u2581"
"""The sign that SentencePiece writes for a space."""
_GPT2: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_REPLACED: Final = (
    ({"String": "``"}, '"'),
    ({"String": "''"}, '"'),
    ({"String": " "}, SPACE),
    ({"Regex": " {2,}"}, " "),
    ({"Regex": " {2,}"}, SPACE),
    ({"Regex": r"\s{2,}|[\n\r\t]"}, " "),
)
"""Quotes, spaces and line breaks, as ALBERT, DeBERTa and the networks of SentencePiece have them."""
_SPLIT: Final = ({"String": " "}, {"Regex": _GPT2})
_RESTORED: Final = ({"String": SPACE}, {"String": " "})
_FEW: Final = text(r"[^\x00-\x1f\x7f]{0,10}", "up to ten characters")
_SIGN: Final = Shape("one character", lambda given: isinstance(given, str) and len(given) == 1)
_BEHAVIOUR: Final = exactly("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
_SCHEME: Final = exactly("always", "never", "first")
_METASPACE: Final = {"replacement": exactly(SPACE), "prepend_scheme": _SCHEME, "split": FLAG, "add_prefix_space": FLAG}
_NO_KEYS: Final[Mapping[str, Shape]] = {}
_BYTES: Final = {"add_prefix_space": FLAG, "trim_offsets": FLAG, "use_regex": FLAG}


def _one_of(patterns: tuple[Any, ...], expected: str) -> Shape:
    return Shape(expected, lambda given: given in patterns)


_NORMALIZERS: Final[Mapping[str, Mapping[str, Shape]]] = {
    "BertNormalizer": {
        "clean_text": FLAG,
        "handle_chinese_chars": FLAG,
        "lowercase": FLAG,
        "strip_accents": either(FLAG, NULL),
    },
    **dict.fromkeys(("Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "StripAccents"), _NO_KEYS),
    "Precompiled": {"precompiled_charsmap": CHARSMAP},
    "Prepend": {"prepend": exactly(SPACE)},
    "Replace": {
        "pattern": _one_of(tuple(pattern for pattern, _ in _REPLACED), "a pattern of quotes, spaces or line breaks"),
        "content": exactly(*dict.fromkeys(content for _, content in _REPLACED)),
    },
    "Strip": {"strip_left": FLAG, "strip_right": FLAG},
}
_PRE_TOKENIZERS: Final[Mapping[str, Mapping[str, Shape]]] = {
    **dict.fromkeys(("BertPreTokenizer", "UnicodeScripts", "Whitespace", "WhitespaceSplit"), _NO_KEYS),
    "ByteLevel": _BYTES,
    "CharDelimiterSplit": {"delimiter": _SIGN},
    "Digits": {"individual_digits": FLAG},
    "Metaspace": _METASPACE,
    "Punctuation": {"behavior": _BEHAVIOUR},
    "Split": {
        "pattern": _one_of(_SPLIT, "a space, or the regular expression of GPT-2"),
        "behavior": _BEHAVIOUR,
        "invert": FLAG,
    },
}
_DECODERS: Final[Mapping[str, Mapping[str, Shape]]] = {
    **dict.fromkeys(("ByteFallback", "Fuse"), _NO_KEYS),
    "BPEDecoder": {"suffix": _FEW},
    "ByteLevel": _BYTES,
    "Metaspace": _METASPACE,
    "Replace": {"pattern": _one_of(_RESTORED, "the sign of a space, or a space"), "content": exactly("", " ")},
    "Strip": {"content": exactly(" "), "start": exactly(0, 1), "stop": exactly(0, 1)},
    "WordPiece": {"prefix": _FEW, "cleanup": FLAG},
}


@dataclass(frozen=True)
class Kind:
    """One kind of part."""

    name: str
    """Its key in the file."""
    listed: str
    """The key under which a `Sequence` of such parts lists them."""
    known: Mapping[str, Mapping[str, Shape]]
    """Keys by type."""


KINDS: Final = (
    Kind("normalizer", "normalizers", _NORMALIZERS),
    Kind("pre_tokenizer", "pretokenizers", _PRE_TOKENIZERS),
    Kind("decoder", "decoders", _DECODERS),
)
"""All but the post-processor, which names tokens (`special`)."""


def part_faults(given: Any, kind: Kind) -> Iterator[str]:
    """Yield what in one part, or in a `Sequence` of parts, the gate does not know."""
    if given is None:
        return
    listed = given.get(kind.listed) if isinstance(given, dict) and given.get("type") == "Sequence" else None
    if listed is None:
        yield from _of_one(given, kind)
        return
    if set(given) != {"type", kind.listed} or not isinstance(listed, list) or len(listed) > MAX_PARTS:
        yield f"{kind.name}: a Sequence holds up to {MAX_PARTS} parts under {kind.listed!r}, and nothing else"
        return
    for part in listed:
        yield from _of_one(part, kind)


def _of_one(given: Any, kind: Kind) -> Iterator[str]:
    type_ = given.get("type") if isinstance(given, dict) else None
    if not isinstance(type_, str) or type_ not in kind.known:
        yield f"{kind.name}: its type is {str(type_)[:60]!r}; the gate reads {', '.join(kind.known)}, or a Sequence"
        return
    grammar = {"type": exactly(type_), **kind.known[type_]}
    yield from (f"{kind.name}: {fault}" for fault in faults(given, grammar, f"a {type_}"))
    if kind.name == "normalizer" and type_ == "Replace" and not _is_known(given):
        yield f"{kind.name}: it replaces {str(given.get('pattern'))[:60]} by {str(given.get('content'))[:20]!r}"


def _is_known(given: Mapping[str, Any]) -> bool:
    return any(given.get("pattern") == pattern and given.get("content") == content for pattern, content in _REPLACED)
