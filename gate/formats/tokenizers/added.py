"""Tokens beside a tokenizer's model, which are found in a text before its rules, and the marks put around a text.

An added token is matched anywhere, inside words too. So one that is hidden from readers (`special`) must look like a
mark, such as `[SEP]` or `</s>`, and no two may have one number. What is put around one text are such marks, once each.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gate.formats.huggingface.keys import FLAG, faults
from gate.formats.shapes import Shape, exactly
from gate.formats.tokenizers.models import is_id, is_token
from gate.formats.tokenizers.parts import MAX_PARTS

MAX_ADDED: Final = 10_000
_MARK: Final = re.compile(r"(\[[^\[\]\s]{1,60}\]|<[^<>\s]{1,60}>|\|\|\|[A-Z_]{1,60}\|\|\|)(NOTUSED)?")
_ADDED: Final[Mapping[str, Shape]] = {
    "content": Shape("a text", is_token),
    "id": Shape("a number", is_id),
    "lstrip": FLAG,
    "normalized": FLAG,
    "rstrip": FLAG,
    "single_word": FLAG,
    "special": FLAG,
}


def is_mark(token: str) -> bool:
    """Tell whether a token looks like a mark and not like a text."""
    return _MARK.fullmatch(token) is not None


def added_faults(given: Any, vocabulary: Mapping[str, int]) -> Iterator[str]:
    """Yield what is odd in the list of added tokens, beside the vocabulary of the model."""
    if not isinstance(given, list) or len(given) > MAX_ADDED:
        yield f"added_tokens: expected a list of up to {MAX_ADDED}"
        return
    taken = {number: token for token, number in vocabulary.items()}
    for one in given:
        found = [f"added_tokens: {fault}" for fault in faults(one, _ADDED, "an added token")]
        found += [f"added_tokens: one has no {key!r}" for key in _ADDED if isinstance(one, dict) and key not in one]
        if found:
            yield from found
            return
        token, number = one["content"], one["id"]
        if vocabulary.get(token, number) != number or taken.setdefault(number, token) != token:
            yield f"added_tokens: {token[:60]!a} has the number {number}, which is not its own"
        if one["special"] and not is_mark(token):
            yield (
                f"added_tokens: {token[:60]!a} is called special and looks like a text; it would be taken out of words "
                "and left out where tokens are shown"
            )


def mark_faults(given: Any, ids: Mapping[str, int]) -> Iterator[str]:
    """Yield what is odd in what puts marks around a text (`post_processor`), given all tokens with their numbers."""
    if given is None:
        return
    listed = given.get("processors") if isinstance(given, dict) and given.get("type") == "Sequence" else [given]
    if (
        not isinstance(listed, list)
        or len(listed) > MAX_PARTS
        or (listed != [given] and set(given) != {"type", "processors"})
    ):
        yield f"post_processor: a Sequence holds up to {MAX_PARTS} parts under 'processors', and nothing else"
        return
    for part in listed:
        type_ = part.get("type") if isinstance(part, dict) else None
        if not isinstance(type_, str) or type_ not in _KNOWN:
            yield f"post_processor: its type is {str(type_)[:60]!r}; the gate reads {', '.join(_KNOWN)}, or a Sequence"
            return
        yield from (f"post_processor: {fault}" for fault in _KNOWN[type_](part, ids))


def _bytes(given: Mapping[str, Any], _ids: Mapping[str, int]) -> Iterator[str]:
    grammar = {"type": exactly("ByteLevel"), **dict.fromkeys(("add_prefix_space", "trim_offsets", "use_regex"), FLAG)}
    yield from faults(given, grammar, "a ByteLevel")


def _ends(given: Mapping[str, Any], ids: Mapping[str, int]) -> Iterator[str]:
    """Yield faults of a beginning and an end, each a mark and its number."""
    mark = Shape("a token and its number", lambda one: isinstance(one, list) and len(one) == 2 and _is(one, ids))
    grammar = {"cls": mark, "sep": mark, "type": exactly("BertProcessing", "RobertaProcessing")}
    if given["type"] == "RobertaProcessing":
        grammar |= {"add_prefix_space": FLAG, "trim_offsets": FLAG}
    yield from faults(given, grammar, f"a {given['type']}")
    yield from (f"it has no {key!r}" for key in ("cls", "sep") if key not in given)


def _is(mark: list[Any], ids: Mapping[str, int]) -> bool:
    return isinstance(mark[0], str) and type(mark[1]) is int and ids.get(mark[0]) == mark[1]


def _template(given: Mapping[str, Any], ids: Mapping[str, int]) -> Iterator[str]:
    """Yield faults of a template: marks of the vocabulary around one text, or around two."""
    marks = given.get("special_tokens")
    if set(given) != {"type", "single", "pair", "special_tokens"} or not isinstance(marks, dict):
        yield "expected 'single', 'pair' and 'special_tokens', and nothing else"
        return
    for name, one in marks.items():
        if one != {"id": name, "ids": [ids.get(name)], "tokens": [name]}:
            yield f"the mark {name[:60]!a} is not the one token of that name"
    yield from _pattern(given["single"], marks, {"A": 0})
    yield from _pattern(given["pair"], marks, {"A": 0, "B": 1})


def _pattern(given: Any, marks: Mapping[str, Any], texts: Mapping[str, int]) -> Iterator[str]:
    """Yield faults of one pattern: each text once, in its order, and the types of tokens as BERT numbers texts."""
    if not isinstance(given, list) or len(given) > MAX_PARTS:
        yield f"expected a list of up to {MAX_PARTS} marks and texts"
        return
    seen = []
    for part in given:
        kind, told = next(iter(part.items())) if isinstance(part, dict) and len(part) == 1 else ("", None)
        if kind not in {"SpecialToken", "Sequence"} or not isinstance(told, dict) or set(told) != {"id", "type_id"}:
            yield f"expected marks and texts, got {str(part)[:60]!r}"
            return
        if type(told["type_id"]) is not int or not 0 <= told["type_id"] < len(texts):
            yield f"a type_id is {str(told['type_id'])[:20]!r}; the gate reads 0 for one text, 0 and 1 for two"
        name = str(told["id"])
        if kind == "SpecialToken" and name not in marks:
            yield f"the mark {name[:60]!a} is not among 'special_tokens'"
        if kind == "Sequence":
            seen.append(name)
    if seen != list(texts):
        yield f"it holds the texts {', '.join(seen)[:60]!a}; expected {' and '.join(texts)}, once each"


_KNOWN: Final = {
    "BertProcessing": _ends,
    "ByteLevel": _bytes,
    "RobertaProcessing": _ends,
    "TemplateProcessing": _template,
}
