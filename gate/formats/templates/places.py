"""Where the templates of an artifact are: files of their own, or inside a tokenizer's settings."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from gate.formats.source import UnreadableError, open_source
from gate.formats.templates.parsing import MAX_CHARACTERS
from gate.records.errors import GateError
from gate.records.record import parse_json

_MAX_BYTES: Final = 16 << 20
_SETTINGS: Final = frozenset(
    {"tokenizer_config.json", "special_tokens_map.json", "processor_config.json", "chat_template.json"}
)
"""JSON files that transformers 5.24 takes a template from: of `special_tokens_map.json` it takes over every key."""
TEMPLATE_KEYS: Final = ("chat_template", "chat_templates", "default_chat_template")
_FILE: Final = re.compile(r".+\.(jinja|jinja2|j2)")
DEFAULT: Final = "default"


def may_hold_templates(path: str) -> bool:
    """Tell whether a file is, or may hold, a template."""
    return PurePosixPath(path).name in _SETTINGS or _FILE.fullmatch(path) is not None


def templates_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of each template in a file; what cannot be read is an `UnreadableError`."""
    with open_source(path) as source:
        raw = source.whole(_MAX_BYTES, path.name)
    if path.name not in _SETTINGS:
        try:
            yield _named(path), raw.decode("utf-8")
        except UnicodeDecodeError:
            raise UnreadableError(f"{path.name} is no text") from None
        return
    try:
        given = parse_json(raw, what=path.name, limit=_MAX_BYTES)
    except GateError as error:
        raise UnreadableError(str(error)) from None
    for key in TEMPLATE_KEYS if isinstance(given, dict) else ():
        yield from _of(given.get(key), path.name)


def _named(path: Path) -> str:
    return path.stem if path.parent.name == "additional_chat_templates" else DEFAULT


def _of(given: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yield the templates of a setting: one text, a list of {name, template}, or texts by name."""
    match given:
        case None:
            return
        case str():
            yield DEFAULT, given
        case dict():
            yield from _each(given.items(), where)
        case list():
            pairs = [(one.get("name"), one.get("template")) for one in given if isinstance(one, dict)]
            if len(pairs) < len(given):
                raise UnreadableError(f"{where} holds templates in a form that transformers does not write")
            yield from _each(pairs, where)
        case _:
            raise UnreadableError(f"{where} holds templates in a form that transformers does not write")


def _each(pairs: Any, where: str) -> Iterator[tuple[str, str]]:
    for name, text in pairs:
        if not isinstance(name, str) or not isinstance(text, str) or len(text) > MAX_CHARACTERS:
            raise UnreadableError(f"{where} holds templates in a form that transformers does not write")
        yield name, text
