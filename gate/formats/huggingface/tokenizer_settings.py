"""What transformers writes beside `tokenizer.json`: which class reads it, and its settings, by a positive grammar.

`tokenizer_config.json` is handed to the class key by key, so that a key which names code, another file or a template
has no place in it. Files of earlier releases (`vocab.txt`, `vocab.json`, `merges.txt`, `added_tokens.json`) must say
what `tokenizer.json` says: another loader might take them.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from gate.formats.huggingface.keys import FLAG, INTEGER, NULL, WORD, faults
from gate.formats.mlflow_model import FALSE
from gate.formats.shapes import Shape, either, exactly, many, text
from gate.formats.source import UnreadableError
from gate.formats.tokenizers.file import TokenizerFile
from gate.formats.tokenizers.models import is_token, pair
from gate.records.errors import GateError
from gate.records.record import parse_json

TOKENIZERS: Final = tuple(
    f"{name}Tokenizer"
    for name in (
        "Bert", "DistilBert", "Electra", "Roberta", "XLMRoberta", "Camembert", "Albert", "MPNet", "DebertaV2"
    )
)  # fmt: skip
"""Classes that transformers has, each also under a name with Fast."""
GENERIC: Final = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""Classes that take `tokenizer.json` as it is."""
_MAX_BYTES: Final = 32 << 20
NAMES: Final = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""Settings that name one special token each, by transformers' `SPECIAL_TOKENS_ATTRIBUTES`."""
_FLAGS: Final = ("lstrip", "normalized", "rstrip", "single_word", "special")


def _is_added(given: Any) -> bool:
    """Tell whether a value is a token with its flags, as a mapping."""
    if not isinstance(given, dict) or not is_token(given.get("content")):
        return False
    rest = {key: value for key, value in given.items() if key != "content"}
    return all(
        value == "AddedToken" if key == "__type" else key in _FLAGS and FLAG.holds(value) for key, value in rest.items()
    )


_TOKEN: Final = Shape("a token", lambda given: is_token(given) or _is_added(given))
_ONE: Final = either(_TOKEN, NULL)
_SEVERAL: Final = either(many(_TOKEN, "a list of tokens"), NULL)
_BY_ID: Final = Shape(
    "tokens by their numbers",
    lambda given: (
        isinstance(given, dict)
        and len(given) <= 10_000
        and all(
            isinstance(key, str) and key.isdecimal() and len(key) < 8 and _is_added(one) for key, one in given.items()
        )
    ),
)
_LENGTH: Final = Shape("a number above 0", lambda given: type(given) in {int, float} and given > 0)
_RIGHT: Final = either(exactly("right"), NULL)
_EMPTY: Final = Shape("an empty mapping", lambda given: given == {})
_SET: Final = either(FLAG, NULL)
_FLAGS_OF_CLASSES: Final = (
    "add_bos_token", "add_eos_token", "add_prefix_space", "clean_up_tokenization_spaces", "do_basic_tokenize",
    "do_lower_case", "is_local", "keep_accents", "legacy", "local_files_only", "remove_space", "split_by_punct",
    "strip_accents", "tokenize_chinese_chars", "trim_offsets",
)  # fmt: skip
_SETTINGS: Final[Mapping[str, Shape]] = {
    **dict.fromkeys(NAMES, _ONE),
    **dict.fromkeys(
        _FLAGS_OF_CLASSES,
        _SET,
    ),
    **dict.fromkeys(("additional_special_tokens", "extra_special_tokens"), _SEVERAL),
    **dict.fromkeys(("model_specific_special_tokens", "sp_model_kwargs"), _EMPTY),
    **dict.fromkeys(("never_split", "processor_class", "special_tokens_map_file"), NULL),
    "added_tokens_decoder": _BY_ID,
    "backend": exactly("tokenizers"),
    "errors": exactly("replace"),
    "max_length": either(_LENGTH, NULL),
    "model_input_names": many(WORD, "a list of names"),
    "model_max_length": either(_LENGTH, NULL),
    "name_or_path": text(r"[^\x00-\x1f\x7f]{0,4096}", "the name that it was loaded by"),
    "pad_to_multiple_of": either(INTEGER, NULL),
    "pad_token_type_id": exactly(0),
    "padding_side": _RIGHT,
    "split_special_tokens": FALSE,
    "stride": exactly(0),
    "tokenizer_class": exactly(*GENERIC, *TOKENIZERS, *(f"{name}Fast" for name in TOKENIZERS)),
    "truncation_side": _RIGHT,
    "truncation_strategy": either(WORD, NULL),
    "unk_id": INTEGER,
    "vocab_type": WORD,
}
_MARKS: Final[Mapping[str, Shape]] = {
    **dict.fromkeys(NAMES, _ONE),
    **dict.fromkeys(("additional_special_tokens", "extra_special_tokens"), _SEVERAL),
}
_TEMPLATES: Final = ("chat_template", "chat_templates", "default_chat_template")


def settings_faults(given: Any) -> Iterator[str]:
    """Yield what in a parsed `tokenizer_config.json` the gate does not know, or needs and does not find."""
    if isinstance(given, dict) and (named := [key for key in _TEMPLATES if key in given]):
        yield f"{named[0]!r} is a template for chats, which a classifier of texts does not need: log it without one"
        return
    if isinstance(given, dict) and "auto_map" in given:
        yield "'auto_map' names code of its own, which the gate never runs"
        return
    yield from faults(given, _SETTINGS, "a tokenizer")
    if isinstance(given, dict):
        yield from (f"it has no {key!r}" for key in ("pad_token", "tokenizer_class") if given.get(key) is None)


def mark_map_faults(given: Any) -> Iterator[str]:
    """Yield what in a parsed `special_tokens_map.json` the gate does not know."""
    yield from faults(given, _MARKS, "the special tokens")


def content_of(token: Any) -> str:
    """Return the text of a token of the settings."""
    return str(token["content"] if isinstance(token, dict) else token)


def plain_name(tokenizer: Any) -> str:
    """Return a tokenizer's class without the suffix of its kind."""
    name = tokenizer if isinstance(tokenizer, str) else ""
    return "TokenizersBackend" if name in GENERIC else name.removesuffix("Fast")


def _lines(raw: bytes) -> list[str]:
    return raw.decode("utf-8").removesuffix("\n").split("\n")


def _words(raw: bytes, file: TokenizerFile) -> bool:
    """Tell whether the lines of a `vocab.txt` are the model's tokens, in the order of their numbers."""
    vocabulary = file.value["model"]["vocab"]
    return isinstance(vocabulary, dict) and _lines(raw) == sorted(vocabulary, key=lambda token: vocabulary[token])


def _numbered(raw: bytes, file: TokenizerFile) -> bool:
    return bool(parse_json(raw, what="vocab.json", limit=_MAX_BYTES) == file.value["model"]["vocab"])


def _merges(raw: bytes, file: TokenizerFile) -> bool:
    lines = _lines(raw)
    merges = [pair(one) for one in file.value["model"].get("merges", [])]
    return [pair(line) for line in (lines[1:] if lines[0].startswith("#version") else lines)] == merges


def _added(raw: bytes, file: TokenizerFile) -> bool:
    given = parse_json(raw, what="added_tokens.json", limit=_MAX_BYTES)
    known = {one["content"]: one["id"] for one in file.value.get("added_tokens", [])}
    return isinstance(given, dict) and all(known.get(token) == number for token, number in given.items())


_COPIES: Final[Mapping[str, Callable[[bytes, TokenizerFile], bool]]] = {
    "added_tokens.json": _added,
    "merges.txt": _merges,
    "vocab.json": _numbered,
    "vocab.txt": _words,
}
COPIES: Final = tuple(_COPIES)
"""Files of earlier releases, which say what `tokenizer.json` says."""


def copy_faults(name: str, raw: bytes, file: TokenizerFile) -> Iterator[str]:
    """Yield a sentence where such a file says something else."""
    try:
        if len(raw) <= _MAX_BYTES and _COPIES[name](raw, file):
            return
    except (GateError, UnicodeDecodeError, UnreadableError):
        pass
    yield "it does not say what tokenizer.json says; save the tokenizer again with save_pretrained of transformers 5"
