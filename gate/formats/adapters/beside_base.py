"""A candidate beside its base: whether an adapter's modules are the base's, and how tokenizer and settings differ.

A difference is counted and named, never explained: the base is the operator's word, the candidate its trainer's.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from gate.formats.adapters.adapter import Adapter, mlmodel_of
from gate.formats.adapters.base import BaseModel, json_at
from gate.formats.adapters.places import COPIES, TOKENIZER_FILES
from gate.formats.adapters.special_tokens import KEYS, special_differences, special_numbers
from gate.formats.huggingface.language_classes import same_tokenizer
from gate.formats.huggingface.tokenizer_settings import plain_name
from gate.formats.source import open_source
from gate.records.facts import PIPELINES

_WHOLE, _MARKS = TOKENIZER_FILES[:2], TOKENIZER_FILES[2]
_MAX_TEXT: Final = 32 << 20
_OF_LOADING: Final = frozenset(
    {"name_or_path", "transformers_version", "is_local"}
    | {"local_files_only", "padding_side", "pad_token_type_id", "stride", "truncation_side", "truncation_strategy"}
    | {"max_length", "model_max_length", "pad_to_multiple_of"}
)
"""Settings that say by whom a tokenizer was loaded, and how batches are cut and filled up, as every call sets anew."""
_FILES_NAMED: Final = frozenset({"special_tokens_map_file", "tokenizer_file"})
"""Settings by which transformers 4 reads another file in place of the one that lies there; 5 reads neither."""
_COMPARED_ELSEWHERE: Final[Mapping[str, frozenset[str]]] = {
    "tokenizer.json": frozenset({"added_tokens", "model", "padding", "truncation"}),
    "tokenizer_config.json": KEYS | {"chat_template"} | _OF_LOADING | _FILES_NAMED,
}
"""Settings by file that are compared apart, or for a template by a detector of its own; and those of loading."""
_PAD_NUMBER: Final = "pad_token_id"
_NAMED: Final = 3


def base_mismatches(adapter: Adapter, base: BaseModel) -> Iterator[str]:
    """Yield each module whose weight the base does not have, or has in another shape."""
    for module in adapter.modules:
        stored = base.weight(module.name)
        if stored is None:
            yield f"the base has no {module.name[:120]}"
        elif stored.tensor.shape != module.shape:
            yield f"{module.name[:120]} is {stored.tensor.shape} in the base and {module.shape} in the adapter"


def network_differences(flavour: Mapping[str, Any], base: BaseModel) -> Iterator[str]:
    """Yield where `MLmodel` names another class for a loader to make the network of than the base's configuration."""
    named = flavour.get("pipeline_model_type")
    if named is not None and named != base.network:
        yield f"'pipeline_model_type' is {str(named)[:80]!r}, and the base is of {base.network[:80]!r}"


def _class_differences(root: Path, base: BaseModel) -> Iterator[str]:
    """Yield where `MLmodel` names another class for a loader to make the tokenizer of than the base's settings."""
    model = mlmodel_of(root)
    named = model.flavors.get(PIPELINES, {}).get("tokenizer_type") if model is not None else None
    if named is not None and not same_tokenizer(named, base.tokenizer_class):
        yield f"'tokenizer_type' is {str(named)[:80]!r}, and the base's is {base.tokenizer_class[:80]!r}"


class Tokenizers(Protocol):
    """Where a candidate's tokenizer lies."""

    def of_tokenizer(self, name: str) -> str:
        """Path of a file of its tokenizer."""
        ...


def tokenizer_differences(
    root: Path, place: Tokenizers, base: BaseModel, ignored: frozenset[str] = frozenset()
) -> Iterator[tuple[str, str]]:
    """Yield the path of each file of a candidate's tokenizer that does not say what the base's says, and how."""
    folder = (root / place.of_tokenizer(_WHOLE[0])).parent
    held = [name for name in (*_WHOLE, _MARKS, *COPIES) if (folder / name).exists()]
    for name in held:
        if name == _MARKS:
            continue
        if (base.tokenizer / name).exists():
            found = _differences(folder / name, base.tokenizer / name, ignored)
            yield from ((place.of_tokenizer(name), why) for why in found)
        elif name in COPIES:
            why = "the base has no such file: save the tokenizer again with transformers 5, without it"
            yield place.of_tokenizer(name), why
        elif name in _WHOLE:
            yield place.of_tokenizer(name), "the base has none to compare it with"
    for name in _WHOLE if held else ():
        if name not in held and (base.tokenizer / name).exists():
            yield place.of_tokenizer(name), "it is not there, and the base has one: a loader takes other tokens"
    yield from (("MLmodel", why) for why in _class_differences(root, base))
    for name, why in special_differences(folder, base, ignored) if held else ():
        yield place.of_tokenizer(name), why


def _differences(own: Path, base: Path, ignored: frozenset[str]) -> Iterator[str]:
    if own.suffix != ".json":
        if _text(own) != _text(base):
            yield "it is not the base's"
        return
    mine, theirs = json_at(own), json_at(base)
    if not isinstance(mine, dict) or not isinstance(theirs, dict):
        yield "it is no mapping"
        return
    if own.name == "tokenizer.json":
        yield from _of_vocabulary(mine, theirs)
    for key in sorted(_FILES_NAMED - ignored):
        if mine.get(key) and (key == "tokenizer_file" or mine[key] != theirs.get(key)):
            yield f"{key!r} is {str(mine[key])[:80]!r}: transformers 4 reads that file in place of the one beside it"
    for key in sorted({*mine, *theirs} - _COMPARED_ELSEWHERE.get(own.name, frozenset()) - ignored):
        if _plain(key, mine) != _plain(key, theirs):
            yield _unlike(key, mine, theirs)


def _unlike(key: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    return f"{key[:60]!r} is {str(mine.get(key))[:80]!r}, and in the base {str(theirs.get(key))[:80]!r}"


def _plain(key: str, value: Mapping[str, Any]) -> Any:
    """Return a setting in one form: an absent, null, false or empty one is none, and a class has no suffix."""
    return plain_name(value.get(key)) if key == "tokenizer_class" else value.get(key) or None


def _of_vocabulary(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    """Yield how the tokens of two tokenizers differ."""
    for what, numbered in (("token", numbered_tokens), ("added token", _added)):
        own, other = numbered(mine), numbered(theirs)
        new = sorted(token for token in own if token not in other)
        gone = sorted(token for token in other if token not in own)
        moved = sorted(token for token in own if token in other and own[token] != other[token])
        for how, tokens in (("beyond the base's", new), ("fewer than the base", gone), ("otherwise", moved)):
            if tokens:
                more = f" and {len(tokens) - _NAMED} more" if len(tokens) > _NAMED else ""
                yield f"{what}s {how}: {', '.join(ascii(token[:60]) for token in tokens[:_NAMED])}{more}"
    rest = [{key: one for key, one in _part(each).items() if key != "vocab"} for each in (mine, theirs)]
    if rest[0] != rest[1]:
        yield "merges or settings of its model are not the base's"


def _part(value: Mapping[str, Any]) -> Mapping[str, Any]:
    model = value.get("model")
    return model if isinstance(model, dict) else {}


def numbered_tokens(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the vocabulary of a `tokenizer.json`: numbers by token; empty where it has none."""
    vocabulary = _part(value).get("vocab")
    if isinstance(vocabulary, list):
        return {str(token): number for number, token in enumerate(vocabulary)}
    return vocabulary if isinstance(vocabulary, dict) else {}


def _added(value: Mapping[str, Any]) -> Mapping[str, Any]:
    added = value.get("added_tokens")
    found = added if isinstance(added, list) else []
    return {str(one.get("content")): one for one in found if isinstance(one, dict)}


def generation_differences(path: Path, base: BaseModel, ignored: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the settings of generation at this path that the base does not have so."""
    mine = json_at(path)
    if mine is not None:
        yield from setting_differences(mine, base.generation or {}, base, ignored | {"_from_model_config"})


def setting_differences(
    mine: Any, theirs: Any, base: BaseModel, ignored: frozenset[str], *, also_gone: bool = False
) -> Iterator[str]:
    """Yield how the settings of two JSON files differ, those that only the base has on request."""
    if not isinstance(mine, dict) or not isinstance(theirs, dict):
        yield "it is no mapping"
        return
    for key in sorted({*mine, *(theirs if also_gone else ())} - _OF_LOADING - ignored):
        if mine.get(key) != theirs.get(key) and not (key == _PAD_NUMBER and _fills_up(mine.get(key), base)):
            yield _unlike(key, mine, theirs)


def _fills_up(number: Any, base: BaseModel) -> bool:
    """Tell whether a number only says which of the base's special tokens fills up.

    Of any other token it hides each one: transformers masks what fills up where no mask is given.
    """
    words = json_at(base.tokenizer / _WHOLE[0])
    known = special_numbers(base, numbered_tokens(words) if isinstance(words, dict) else {})
    return number is None or (type(number) is int and number in known)


def _text(path: Path) -> bytes:
    with open_source(path) as source:
        return source.whole(_MAX_TEXT, path.name)
