"""Lines that fit the terminal; names and commands stay whole, so that they can be copied."""

import shutil
import textwrap

from gate.jail.inert import inert_line

_NARROWEST, _WIDEST = 40, 100


def columns(least: int = _NARROWEST, most: int = _WIDEST) -> int:
    """Return a line's width: the terminal's, within bounds; 80 where it is unknown."""
    return max(least, min(shutil.get_terminal_size().columns, most))


def wrapped(text: str, width: int, first: str = "", later: str = "") -> list[str]:
    """Return a text's lines under a head, broken between words; the head alone for an empty text."""
    lines = textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=later, break_on_hyphens=False, break_long_words=False
    )
    return lines or [first.rstrip()]


def inert(text: str, limit: int, width: int, first: str, later: str) -> list[str]:
    """Return foreign text in lines under a head; none begins with a runner's command."""
    return wrapped(inert_line(text, limit=limit).replace("::", ": :"), width, first, later)
