"""`model/config.json`: which network, of which sizes, and the classes' names.

A positive grammar by key. What transformers would import, fetch or run by a key (`auto_map`, a kernel of the hub as the
way of attention, a quantiser) has no place in it, and neither has a number type other than float32.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gate.formats.huggingface.architectures import Architecture
from gate.formats.huggingface.keys import FLAG, NULL, SETTING, faults
from gate.formats.mlflow_model import VERSION
from gate.formats.shapes import Shape, either, exactly, text

_MAX_LABELS: Final = 100_000
_MAX_LABEL: Final = 1000
CODE: Final = ("auto_map", "trust_remote_code", "custom_pipelines")
"""Keys by which transformers would load code."""


def _is_label(given: Any) -> bool:
    return isinstance(given, str) and 0 < len(given) <= _MAX_LABEL


def _numbered(given: Any) -> bool:
    """Tell whether labels have the numbers 0, 1, 2, …, each once, as texts."""
    if not isinstance(given, dict) or not 2 <= len(given) <= _MAX_LABELS:
        return False
    return set(given) == {str(number) for number in range(len(given))} and all(map(_is_label, given.values()))


def _numbers(given: Any) -> bool:
    return (
        isinstance(given, dict)
        and len(given) <= _MAX_LABELS
        and all(_is_label(label) and type(number) is int for label, number in given.items())
    )


_SEVERAL: Final = {
    "multi_label_classification": "a class is examined against the others, and these do not exclude each other: log "
    "one pipeline for each label, whose two scores are 0 and the label's own (docs/how-to/text.md)",
    "regression": "a number is no class; the gate examines classifiers",
}
"""What a network of scores may be trained for that no detector examines, and what to do."""
_FLOAT: Final = exactly("float32")
_COMMON: Final[Mapping[str, Shape]] = {
    "_name_or_path": text(r"[^\x00-\x1f\x7f]{0,4096}", "the name that it was loaded by"),
    "architectures": Shape("one class", lambda given: isinstance(given, list) and len(given) == 1),
    "chunk_size_feed_forward": exactly(0),
    "dtype": _FLOAT,
    "id2label": Shape("two or more labels by the numbers 0, 1, 2, …", _numbered),
    "is_encoder_decoder": Shape("false", lambda given: given is False),
    "label2id": Shape("numbers by label", _numbers),
    "output_attentions": FLAG,
    "output_hidden_states": FLAG,
    "problem_type": either(NULL, exactly("single_label_classification")),
    "return_dict": FLAG,
    "torch_dtype": _FLOAT,
    "transformers_version": VERSION,
}


def config_faults(given: Any, known: Mapping[str, Architecture]) -> Iterator[str]:
    """Yield what in a parsed `config.json` is not that of a network of the list `known`, by the names of classes."""
    if not isinstance(given, dict):
        yield "it is no mapping"
        return
    if code := [key for key in CODE if key in given]:
        yield f"{code[0]!r} names code of its own, which the gate never runs"
        return
    name = class_of(given)
    if name not in known:
        yield f"its class is {name[:80]!r}; the gate composes {', '.join(known)}"
        return
    architecture = known[name]
    own = dict.fromkeys(architecture.keys, SETTING)
    grammar = {**_COMMON, **own, **architecture.shapes, "model_type": exactly(architecture.model_type)}
    if several := _SEVERAL.get(str(given.get("problem_type"))):
        yield f"'problem_type' is {given['problem_type']!r}; {several}"
        return
    yield from faults(given, grammar, f"a {name}")
    if "model_type" not in given:
        yield f"it has no 'model_type'; the gate reads {architecture.model_type!r}"


def class_of(given: Mapping[str, Any]) -> str:
    """Return the name of the one class that a configuration states; empty where it states none, or several."""
    named = given.get("architectures")
    return named[0] if isinstance(named, list) and len(named) == 1 and isinstance(named[0], str) else ""
