"""Escaping for Markdown: untrusted text that stays text in CommonMark, GitHub and GitLab.

A backslash stops the parser of Markdown, but not what platforms do to the HTML afterwards (mentions, references,
bare links, emoji): there an invisible word joiner, as an entity, goes between the sign and the word.
tests/renderers/test_escape.py holds the properties with a Markdown parser.
"""

import re
from collections.abc import Iterable

from markupsafe import Markup

from gate.renderers.text import MAX_SHOWN, plain

JOINER = "&#8288;"
"""U+2060, a word joiner: no width, no break; platforms see no name after it."""

_SPECIAL = re.compile(r"[\\`*_{}\[\]#!~$^]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_SIGIL = re.compile(r"(?<=[@#!~%$&])(?=\w)|(?<=:)(?=//|[a-zA-Z+-][\w+-]*:)|(?<=\b[gG][hH])(?=-\d)|(?<=\b[wW]{3})(?=\.)")
"""Places where a mention, a reference, an emoji or a bare link would begin."""
_LINE_START = re.compile(r"^(?:[-+=]|\d{1,9}(?=[.)](?: |$)))")


def escape_markdown(text: str, limit: int = MAX_SHOWN) -> Markup:
    """Return untrusted text as one line of Markdown that every parser shows as that text and nothing else."""
    line = plain(text, limit)
    pieces = _SIGIL.split(line)
    escaped = JOINER.join(_escape_signs(piece) for piece in pieces)
    return Markup(_LINE_START.sub(_guard, escaped))  # noqa: S704  # this is the escaping


def _escape_signs(piece: str) -> str:
    entities = re.sub(r"[&<>|]", lambda match: _ENTITIES[match[0]], piece)
    # The '#' and '&' of our own entity must stay.
    return _SPECIAL.sub(lambda match: "\\" + match[0], entities.replace("&#124;", "\0")).replace("\0", "&#124;")


def _guard(match: re.Match[str]) -> str:
    """Stop lists, rules and headings: a backslash before a sign, a joiner after a number."""
    return match[0] + JOINER if match[0][0].isdigit() else "\\" + match[0]


def code(text: str, limit: int = MAX_SHOWN) -> Markup:
    """Return untrusted text as a code span, or escaped where it could end the span or a table cell."""
    line = plain(text, limit)
    if not line or "`" in line or "|" in line:
        return escape_markdown(text, limit)
    return Markup(f"`{line}`")  # noqa: S704  # without backticks nothing ends the span


def fence(lines: Iterable[str]) -> Markup:
    """Return lines as a fenced block of shell commands; the fence is longer than any run of backticks inside."""
    shown = [plain(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall(r"`+", line)), default=0)
    marks = "`" * max(3, longest + 1)
    return Markup("\n".join([f"{marks}sh", *shown, marks]))  # noqa: S704  # nothing inside can end the fence
