"""What stands around a prompt: the base's own chat template, rendered once, or the marks of a plain text.

The template is the base's, which the operator trusts, and no candidate's: that is never rendered. Even so it is parsed
within the bounds of all templates, and rendered by Jinja's sandbox in the jail, as transformers does.
"""

import json
from typing import TYPE_CHECKING, Any, Final

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gate.formats.adapters.base import BaseModel, json_at
from gate.formats.adapters.places import TOKENIZER_FILES
from gate.formats.source import UnreadableError
from gate.formats.templates.parsing import SETTINGS, parse
from gate.formats.templates.places import DEFAULT, templates_in
from gate.spaces.text.continuing import Frame

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROMPT: Final = "Prompt 7f3a9c"
"""Stands for a prompt in the one rendering; no template knows it."""
_DAY: Final = "01 Jan 2026"
"""Answer to a template that asks for today: the same at every scan."""
_MOST: Final = 20_000
"""Characters of a frame."""
_, _OF_TOKENIZER, _, _FILE = TOKENIZER_FILES


def frame_of(base: BaseModel, lead: tuple[int, ...]) -> tuple[Frame, str]:
    """Return a prompt's frame, and how it was found; `lead` is in front of a text that is no chat."""
    plain = Frame(lead=lead)
    try:
        template = _template(base)
        if not template:
            return plain, "as plain text, since the base has no chat template"
        parse(template)
        text = _rendered(template, base)
    except (UnreadableError, TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        return plain, f"as plain text, since the base's chat template was not rendered: {type(error).__name__}: {why}"
    if text.count(_PROMPT) != 1 or len(text) > _MOST:
        return plain, "as plain text, since the base's chat template does not show a message as it is"
    before, after = text.split(_PROMPT)
    return Frame(before, after), "in the base's chat template"


def _template(base: BaseModel) -> str:
    """Return the base's default template; empty where it has none."""
    held = (base.tokenizer / name for name in (_FILE, _OF_TOKENIZER) if (base.tokenizer / name).is_file())
    found = (text for path in held for name, text in templates_in(path) if name == DEFAULT)
    return next(found, "")


def _rendered(template: str, base: BaseModel) -> str:
    environment = ImmutableSandboxedEnvironment(**SETTINGS)
    environment.filters["tojson"] = _to_json
    environment.globals |= {"raise_exception": _raise, "strftime_now": lambda _form: _DAY}
    chat = [{"role": "user", "content": _PROMPT}]
    marks = _marks(json_at(base.tokenizer / _OF_TOKENIZER))
    return environment.from_string(template).render(messages=chat, add_generation_prompt=True, **marks)


def _marks(settings: Any) -> dict[str, str]:
    """Return the special tokens that a template may name."""
    given: Mapping[str, Any] = settings if isinstance(settings, dict) else {}
    named = {key: value for key, value in given.items() if key.endswith("_token")}
    contents = {key: one.get("content") if isinstance(one, dict) else one for key, one in named.items()}
    return {key: one for key, one in contents.items() if isinstance(one, str)}


def _raise(message: str) -> None:
    raise TemplateError(message)


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
