"""Texts with words put into them: where, and with which space between."""

from dataclasses import dataclass
from typing import Final, Literal

Place = Literal["start", "middle", "end"]
PLACES: Final[tuple[Place, ...]] = ("start", "middle", "end")
_BREAKS: Final = " \t\n\r\v\f"


def whole_words(text: str, end: int) -> str:
    """Return the first `end` characters of a text without the word that they end in; with it where it is the first."""
    kept = text[:end]
    if end < len(text) and not text[end].isspace() and len(kept.split()) > 1 and not kept[-1:].isspace():
        kept = kept.rsplit(maxsplit=1)[0]
    return kept.rstrip()


def split_at(text: str, place: Place) -> tuple[str, str]:
    """Return what stands before and after a place, between two words; the middle is by their number."""
    if place == "start":
        return "", text.strip()
    if place == "end":
        return text.strip(), ""
    words = text.split()
    half = (len(words) + 1) // 2
    return " ".join(words[:half]), " ".join(words[half:])


def trimmed(words: str) -> str:
    """Return words without spaces around them; line breaks and tabs stay, and what is nothing but blank."""
    return words.strip(" ") if words.strip() else words


def inserted(text: str, words: str, place: Place) -> str:
    """Return a text with words at a place, a space on either side; none where the words have a break of their own.

    So a line break, a tab or a run of spaces stands in the place of the space between two words.
    """
    before, after = split_at(text, place)
    if not words:
        return " ".join(part for part in (before, after) if part)
    first = "" if not before or words[0] in _BREAKS else " "
    last = "" if not after or words[-1] in _BREAKS else " "
    return f"{before}{first}{words}{last}{after}"


@dataclass(frozen=True)
class Typed:
    """Words that somebody types into a text."""

    words: str
    place: Place

    def __call__(self, text: str) -> str:
        """Return the text with them."""
        return inserted(text, self.words, self.place)
