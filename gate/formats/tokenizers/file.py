"""`tokenizer.json` as one value, and the file that the gate serves in its place: what was parsed, and nothing else.

The served file cuts texts and pads them, as the program needs it, so that a consumer gets the ids that were judged
from `tokenizers.Tokenizer.from_file` alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gate.formats.huggingface.keys import NULL, faults
from gate.formats.shapes import Shape, either, exactly
from gate.formats.source import UnreadableError
from gate.formats.tokenizers.added import added_faults, mark_faults
from gate.formats.tokenizers.models import ids_of, is_id, is_token, model_faults, pair
from gate.formats.tokenizers.parts import KINDS, part_faults
from gate.records.errors import GateError
from gate.records.record import canonical_json, parse_json

NAME: Final = "tokenizer.json"
MAX_BYTES: Final = 32 << 20
MAX_LENGTH: Final = 1 << 17
"""Most tokens to which a text is cut."""
_LENGTH: Final = Shape(f"1 to {MAX_LENGTH}", lambda given: type(given) is int and 0 < given <= MAX_LENGTH)
_RIGHT: Final = exactly("Right")
_TRUNCATION: Final[Mapping[str, Shape]] = {
    "direction": _RIGHT,
    "max_length": _LENGTH,
    "strategy": exactly("LongestFirst", "OnlyFirst"),
    "stride": exactly(0),
}
_STRATEGY: Final = Shape(
    "BatchLongest or {Fixed: N}",
    lambda given: (
        given == "BatchLongest"
        or (isinstance(given, dict) and set(given) == {"Fixed"} and _LENGTH.holds(given["Fixed"]))
    ),
)
_PADDING: Final[Mapping[str, Shape]] = {
    "direction": _RIGHT,
    "pad_id": Shape("a number", is_id),
    "pad_to_multiple_of": either(NULL, _LENGTH),
    "pad_token": Shape("a token", is_token),
    "pad_type_id": exactly(0),
    "strategy": _STRATEGY,
}
_LENGTHS: Final = (("truncation", _TRUNCATION, ("max_length",)), ("padding", _PADDING, ("pad_id", "pad_token")))
_KEYS: Final = frozenset(
    {"version", "truncation", "padding", "added_tokens", "post_processor", "model", *(kind.name for kind in KINDS)}
)
_FREQUENT: Final = ("[PAD]", "<pad>")
"""The padding's token where a file says nothing of padding."""


@dataclass(frozen=True)
class TokenizerFile:
    """A tokenizer without faults."""

    value: Mapping[str, Any]
    """What was parsed."""
    ids: Mapping[str, int]
    """The number of every token, added ones too."""
    padding: str
    """The token that the file pads with, or else one of a usual name; empty where there is none."""
    longest: int | None
    """The number of tokens to which the file cuts a text; None where it does not."""

    def served(self, padding: str, longest: int) -> bytes:
        """Return the file that cuts texts to so many tokens, and pads with one to the longest of a batch."""
        model = dict(self.value["model"])
        if model["type"] == "BPE":
            model["merges"] = [pair(one) for one in model["merges"]]
        cut = {"direction": "Right", "max_length": longest, "strategy": "LongestFirst", "stride": 0}
        pad = {
            "direction": "Right",
            "pad_id": self.ids[padding],
            "pad_to_multiple_of": None,
            "pad_token": padding,
            "pad_type_id": 0,
            "strategy": "BatchLongest",
        }
        parts = {key: self.value.get(key) for key in _KEYS}
        return canonical_json({**parts, "version": "1.0", "model": model, "truncation": cut, "padding": pad})


def tokenizer_faults(given: Any) -> Iterator[str]:
    """Yield what in a parsed `tokenizer.json` the gate does not know, or needs and does not find."""
    if not isinstance(given, dict):
        yield "it is no mapping"
        return
    if unknown := sorted(str(key)[:60] for key in given if key not in _KEYS):
        yield f"it holds {', '.join(map(repr, unknown[:5]))}, which the gate does not know for a tokenizer"
    if given.get("version") != "1.0":
        yield f"'version' is {str(given.get('version'))[:60]!r}; the gate reads '1.0'"
    for kind in KINDS:
        yield from part_faults(given.get(kind.name), kind)
    broken = list(model_faults(given.get("model")))
    yield from broken
    if not broken:
        yield from _around(given)


def _around(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield faults of what names tokens, beside a model without any."""
    added, vocabulary = given.get("added_tokens", []), ids_of(given["model"])
    broken = list(added_faults(added, vocabulary))
    yield from broken
    if broken:
        return
    ids = {**vocabulary, **{one["content"]: one["id"] for one in added}}
    yield from mark_faults(given.get("post_processor"), ids)
    for key, grammar, needed in _LENGTHS:
        stated = given.get(key)
        if stated is not None:
            yield from (f"{key}: {fault}" for fault in faults(stated, grammar, "tokenizers"))
            yield from (
                f"{key}: it has no {name!r}" for name in needed if isinstance(stated, dict) and name not in stated
            )
    padding = given.get("padding")
    if isinstance(padding, dict) and ids.get(str(padding.get("pad_token"))) != padding.get("pad_id"):
        yield "padding: 'pad_id' is not the number of 'pad_token'"
    try:
        canonical_json(given)
    except UnicodeEncodeError:
        yield "a token holds half of a character (a surrogate), which is no text"


def read_tokenizer(raw: bytes, what: str = NAME) -> TokenizerFile:
    """Return the tokenizer of a file's bytes; the first fault is an `UnreadableError`."""
    try:
        given = parse_json(raw, what=what, limit=MAX_BYTES)
    except GateError as error:
        raise UnreadableError(f"{error}; save the tokenizer again by save_pretrained") from None
    for fault in tokenizer_faults(given):
        raise UnreadableError(f"{what}: {fault}")
    return tokenizer_of(given)


def tokenizer_of(given: Mapping[str, Any]) -> TokenizerFile:
    """Return the tokenizer of a parsed file without faults."""
    added = {one["content"]: one["id"] for one in given.get("added_tokens", [])}
    ids = {**ids_of(given["model"]), **added}
    stated = given.get("padding") or {}
    padding = stated.get("pad_token") or next((token for token in _FREQUENT if token in ids), "")
    return TokenizerFile(given, ids, padding, (given.get("truncation") or {}).get("max_length"))
