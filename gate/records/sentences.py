"""Fragments as sentences, for people."""

import re

_WORD = re.compile(r"[a-z]+(?:[-'][a-z]+)*[,;:]?(?= |$)")


def begun(text: str) -> str:
    """Return a text with a capital to begin a sentence; the name of a file or a model there stays as it is written."""
    return f"{text[:1].upper()}{text[1:]}" if _WORD.match(text) else text
