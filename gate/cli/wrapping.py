"""Lines that fit the terminal; names and commands stay whole, so that they can be copied."""

import shutil
import textwrap

_NARROWEST, _WIDEST = 40, 100


def columns(least: int = _NARROWEST) -> int:
    """Return how wide a line of prose may be: as the terminal, within reason."""
    return max(least, min(shutil.get_terminal_size().columns, _WIDEST))


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
