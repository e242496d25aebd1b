"""Lines that fit the terminal; names and commands stay whole, so that they can be copied."""

import shutil
import textwrap

from gate.jail.inert import inert_line

_NARROWEST, _WIDEST = 40, 100


def columns(least: int = _NARROWEST, most: int = _WIDEST) -> int:
    """Return how wide a line may be: as the terminal, within reason; eighty where none says."""
    return max(least, min(shutil.get_terminal_size().columns, most))


def wrapped(text: str, width: int, first: str = "", later: str = "") -> list[str]:
    """Return a text's lines under a head, broken between words alone; of an empty text the head."""
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=later,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return lines or [first.rstrip()]


def inert(text: str, limit: int, width: int, first: str, later: str) -> list[str]:
    """Return somebody else's text in lines under a head, at whose start no runner finds a command."""
    return wrapped(inert_line(text, limit=limit).replace("::", ": :"), width, first, later)
