"""Words and numbers as every renderer writes them; all text of the candidate or the registry goes through `plain`.

`plain` keeps a text on one line, makes invisible and control characters visible as ⟨U+202E⟩, breaks up commands of CI
logs, and cuts to a stated length. Escaping for HTML or Markdown comes after it.
"""

import re
import unicodedata

MAX_SHOWN = 2000
"""Most characters of one text in a report; report.json holds the whole text."""
_LINE_END = re.compile(r"\s*(?:\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])\s*")
_LOG_COMMAND = re.compile(r"##(?=[\w-]*\[)")
"""Commands such as `##[error]` or `##vso[…]`, anywhere in a line of a log."""
_VISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Unicode categories without a shape: controls, bidirectional and zero-width signs, surrogates."""
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    + "".join(map(chr, [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)
"""Letters and marks that are drawn as nothing: fillers, the blank Braille cell, variation selectors."""
_UNITS = ((1, "s", 120), (60, "min", 7200), (3600, "h", float("inf")))
"""Seconds of a unit, its name, and the seconds from which the next is better."""
_MAX_MARKS = 3
"""Most combining marks on one letter; real scripts need no more."""


def plain(text: str, limit: int = MAX_SHOWN) -> str:
    """Return untrusted text as one visible line of at most `limit` characters, ending in … where it was longer."""
    shown: list[str] = []
    marks = 0
    for character in _LINE_END.sub(" ⏎ ", text[: limit * 4].strip()):
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if marks > _MAX_MARKS:
            continue
        if category == "Zs" or character == "\t":
            shown.append(" ")
        elif category in _VISIBLE or character in _BLANK:
            shown.append(f"⟨U+{ord(character):04X}⟩")
        else:
            shown.append(character)
    line = _LOG_COMMAND.sub("## ", re.sub(" +", " ", "".join(shown)).strip())
    line = re.sub(r"^:(?=:)", ": ", line)
    return cut(line, limit)


def cut(line: str, limit: int) -> str:
    """Return `line` with at most `limit` characters of it, ending in an ellipsis where something was left out."""
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def number(value: float) -> str:
    """Return a number with four significant digits, and whole numbers in full with thin groups of thousands."""
    if abs(value) < 1e15 and value == round(value):  # beyond it a float no longer counts in ones
        return f"{round(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{value:.4g}"


def percent(share: float) -> str:
    """Return a share from 0 to 1 as a percentage with one decimal."""
    return f"{share:.1%}".replace("%", "\N{NARROW NO-BREAK SPACE}%")


def rounded(share: float) -> str:
    """Return a share as a whole percentage; only exactly 0 and 1 become 0 % and 100 %."""
    whole = min(max(round(100 * share), 1 if share > 0 else 0), 99 if share < 1 else 100)
    return f"{whole}\N{NARROW NO-BREAK SPACE}%"


def duration(seconds: float) -> str:
    """Return seconds such as `0.38 s`, `42.1 s` or `12 min 05 s`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def between(least: float, most: float) -> str:
    """Return a number of seconds between two others in round words: `about 9 min`, `9 to 14 min`, `up to 40 s`."""
    unit, noun = next((unit, noun) for unit, noun, below in _UNITS if most < below)
    low, high = round(least / unit), max(1, round(most / unit))
    if low >= high:
        return f"about {high} {noun}"
    return f"{low} to {high} {noun}" if low else f"up to {high} {noun}"


def size(size_bytes: int) -> str:
    """Return a number of bytes in the largest decimal unit that leaves it at one or more."""
    amount = float(size_bytes)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{size_bytes} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def count(amount: int, noun: str, plural: str = "") -> str:
    """Return an amount with its noun in the right number, such as `1 class` or `3 classes`."""
    return f"{number(amount)} {noun if amount == 1 else plural or noun + 's'}"


def listed(words: list[str]) -> str:
    """Return words joined as in a sentence: `a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""
