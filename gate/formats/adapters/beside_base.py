"""A candidate beside its base: whether an adapter's modules are the base's, and how tokenizer and settings differ.

A difference is counted and named, never explained: the base is the operator's word, the candidate its trainer's.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from gate.formats.adapters.adapter import Adapter
from gate.formats.adapters.base import BaseModel, json_at
from gate.formats.adapters.places import COPIES
from gate.formats.huggingface.tokenizer_settings import plain_name
from gate.formats.source import open_source

_MAX_TEXT: Final = 32 << 20
_OWN: Final = frozenset(
    {"name_or_path", "special_tokens_map_file", "tokenizer_file", "chat_template", "transformers_version", "is_local"}
    | {"local_files_only", "padding", "padding_side", "pad_token", "pad_token_id", "pad_token_type_id", "stride"}
    | {"truncation", "truncation_side", "truncation_strategy", "max_length", "model_max_length", "pad_to_multiple_of"}
)
"""Settings that say by whom a tokenizer was loaded and how batches are cut and filled up, which every call sets anew,
and a template, which has a detector of its own. A token that only fills up counts where it is added."""
_NAMED: Final = 3


def base_mismatches(adapter: Adapter, base: BaseModel) -> Iterator[str]:
    """Yield each module whose weight the base does not have, or has in another shape."""
    for module in adapter.modules:
        stored = base.weight(module.name)
        if stored is None:
            yield f"the base has no {module.name[:120]}"
        elif stored.tensor.shape != module.shape:
            yield f"{module.name[:120]} is {stored.tensor.shape} in the base and {module.shape} in the adapter"


class Tokenizers(Protocol):
    """Where a candidate's tokenizer lies."""

    def of_tokenizer(self, name: str) -> str:
        """Path of a file of its tokenizer."""
        ...


def tokenizer_differences(
    root: Path, place: Tokenizers, base: BaseModel, ignored: frozenset[str] = frozenset()
) -> Iterator[tuple[str, str]]:
    """Yield the path of each file of a candidate's tokenizer that does not say what the base's says, and how."""
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", *COPIES):
        path = place.of_tokenizer(name)
        if not (root / path).exists():
            continue
        if not (base.tokenizer / name).exists():
            if name not in {"special_tokens_map.json", *COPIES}:
                yield path, "the base has none to compare it with"
            elif name in COPIES:
                yield path, "the base has no such file: save the tokenizer again with transformers 5, without it"
            continue
        yield from ((path, why) for why in _differences(root / path, base.tokenizer / name, ignored))


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
    for key in sorted({*mine, *theirs} - _OWN - ignored - {"added_tokens", "model"}):
        if _plain(key, mine) != _plain(key, theirs):
            yield f"{key[:60]!r} is {str(mine.get(key))[:80]!r}, and in the base {str(theirs.get(key))[:80]!r}"


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
        yield from setting_differences(mine, base.generation or {}, ignored | {"_from_model_config"})


def setting_differences(mine: Any, theirs: Any, ignored: frozenset[str], *, also_gone: bool = False) -> Iterator[str]:
    """Yield how the settings of two JSON files differ, those that only the base has on request."""
    if not isinstance(mine, dict) or not isinstance(theirs, dict):
        yield "it is no mapping"
        return
    for key in sorted({*mine, *(theirs if also_gone else ())} - _OWN - ignored):
        if mine.get(key) != theirs.get(key):
            yield f"{key[:60]!r} is {str(mine.get(key))[:80]!r}, and in the base {str(theirs.get(key))[:80]!r}"


def _text(path: Path) -> bytes:
    with open_source(path) as source:
        return source.whole(_MAX_TEXT, path.name)
