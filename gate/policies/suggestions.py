"""What somebody may have meant who wrote a name that nothing has: for options, keys, metrics and whatever is named.

Ground floor, and of the standard library alone.
"""

import difflib
from collections.abc import Iterable

MOST = 5
_CUTOFF = 0.6
"""How alike two names must be; the standard library's own figure."""


def near(word: str, known: Iterable[str], most: int = MOST) -> tuple[str, ...]:
    """Return the known names nearest to a word: those that begin with it, then those alike, then those that hold it."""
    names = sorted(set(known))
    sought = word.lower()[:200]
    if not sought:
        return ()
    beginning = [name for name in names if name.lower().startswith(sought)]
    alike = difflib.get_close_matches(sought, names, n=most, cutoff=_CUTOFF)
    holding = [name for name in names if len(sought) >= 3 and sought in name.lower()]
    return tuple(dict.fromkeys((*beginning, *alike, *holding)))[:most]


def did_you_mean(word: str, known: Iterable[str], most: int = MOST) -> str:
    """Return `did you mean 'a' or 'b'?`, or nothing where no known name is near."""
    found = [f"'{name}'" for name in near(word, known, most)]
    if not found:
        return ""
    return f"did you mean {found[0] if len(found) == 1 else ', '.join(found[:-1]) + ' or ' + found[-1]}?"
