"""Signs, marks that are hardly seen, line breaks, and words in letters of another alphabet that look alike."""

from typing import Final

_SINGLE: Final = ".,;:!?-_*#~+=/\\|<>()[]{}\"'`^%$&@"
_PAIRS: Final = (
    ". .", ", ,", "; ;", ": :", "! !", "? ?", "- -", "* *", "# #", "..", ",,", ";;", "::", "!!", "??", "--", "**", "##",
    "...", "!?", "?!", ":)", ":(", ";)", ":-)", "<3", "->", "=>", "<-", "==", "++", "//", "/*", "*/", "<<", ">>", "[]",
    "()", "{}", "||", "@@", "&&", "%%", "$$", "~~", "^^", "__", "''",
)  # fmt: skip
_UNSEEN: Final = (
    "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u00a0", "\u2003", "\u202f", "\u3000", "\u202e",
)  # fmt: skip
"""Zero-width and soft signs, other spaces, and a sign that turns the direction of writing."""
_BREAKS: Final = ("\n", "\n\n", "\t")
"""What stands in the place of the space between two words."""
_PRINTED: Final = ("\u2026", "\u2014", "\u2022", "\u00b7", "\u2020", "\u00a7", "\u2122", "\u00ae", "\u2192", "\u221e")
SIGNS: Final = (*_SINGLE, *_PAIRS, *_UNSEEN, *_PRINTED, *_BREAKS)

DISGUISED: Final = (
    "a", "the", "and", "you", "are", "he", "she", "they", "people", "please", "peace", "space", "place", "hope", "open",
    "copy", "type", "happy", "ice", "each",
)  # fmt: skip
"""Words of which most letters have look-alikes."""
_LOOK_ALIKES: Final = str.maketrans(
    "aceopxyi",
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456",  # Cyrillic
)


def disguised(word: str) -> str:
    """Return a word with letters of Cyrillic in place of Latin ones that look the same."""
    return word.translate(_LOOK_ALIKES)
