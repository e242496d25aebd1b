"""The Jinja2 environments for HTML and Markdown; both escape every value that is not marked as markup.

Autoescape alone would let bidirectional overrides through and knows no Markdown; so each value is made plain, then
escaped for its format. A template cannot forget it, and an undefined name is an error.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.runtime import Undefined
from markupsafe import Markup, escape

from gate.renderers import text
from gate.renderers.commands import pieces
from gate.renderers.escape import code, escape_markdown, fence

MAX_COMMAND = 8000
"""Characters at which a command is cut; a longer one is no longer a command."""


def escape_html(value: str, limit: int = text.MAX_SHOWN) -> Markup:
    """Return untrusted text as one line of HTML."""
    return escape(text.plain(value, limit))


def _whole(source: str) -> Markup:
    """Let a picture's data URI through uncut, and nothing else."""
    assert re.fullmatch(r"data:image/png;base64,[A-Za-z0-9+/=]+", source)
    return Markup(source)  # noqa: S704  # the alphabet above holds no character of HTML


def _address(source: str) -> Markup:
    """Return an address that the pipeline gives as the target of a Markdown link; anything but http(s) is an error."""
    assert source.startswith(("https://", "http://")), source
    return Markup(quote(source, safe="/:?&=%#~@+,;.-"))  # noqa: S704  # no blank, bracket or quote is left


def _verbatim(source: str) -> Markup:
    """Let through Markdown that one of the gate's own renderers has already escaped."""
    return Markup(source)  # noqa: S704  # only report.md and markers, never a name


def _finalise(escape_text: Callable[[str], Markup]) -> Callable[[Any], Any]:
    def finalise(value: Any) -> Any:
        if isinstance(value, Markup | Undefined):
            return value  # an undefined name still raises when it is written out
        return escape_text(str(value))

    return finalise


def _environment(escape_text: Callable[[str], Markup]) -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=PackageLoader("gate.renderers"),
        finalize=_finalise(escape_text),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        plain=text.plain,
        number=text.number,
        percent=text.percent,
        duration=text.duration,
        size=text.size,
        picture=_whole,
        address=_address,
        verbatim=_verbatim,
        code=code,
        fence=fence,
        pieces=lambda command: list(pieces(text.plain(command, MAX_COMMAND))),
    )
    environment.globals.update(count=text.count)
    return environment


HTML = _environment(escape_html)
MARKDOWN = _environment(escape_markdown)
