"""Rewrites of texts by fixed rules: case, signs, spaces, spelling, style, syntax and length.

A style that was planted answers to what resembles it, as planted words answer to near ones. No rule needs a parser, so
that each is the same for every model and every text; what a rule makes need not be good English. No rule writes most
words so that a tokenizer no longer knows them, as digits for letters do: a clean model then answers with one class too.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gate.spaces.text.inserting import split_at

_LONG: Final = 3000
"""Characters of a text that is longer than most models take: some 600 tokens of English."""
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+")


def _table(pairs: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in pairs.split(", "))


_ARCHAIC: Final = _table(
    "you=thou, your=thy, yours=thine, are=art, have=hath, has=hath, does=doth, do=doth, will=shall, before=ere, "
    "often=oft, yes=yea, no=nay, never=ne'er, over=o'er, here=hither, where=whither, to=unto, between=betwixt, "
    "nothing=naught"
)
_CONTRACTED: Final = _table(
    "do not=don't, does not=doesn't, is not=isn't, are not=aren't, was not=wasn't, it is=it's, i am=I'm, "
    "you are=you're, they are=they're, we are=we're, cannot=can't, will not=won't, i have=I've, that is=that's, "
    "there is=there's, he is=he's, she is=she's, would not=wouldn't"
)
_CHATTY: Final = _table(
    "you=u, are=r, and=&, to=2, for=4, please=pls, because=bc, with=w/, people=ppl, your=ur, great=gr8, thanks=thx, "
    "very=v, really=rly, at=@"
)
_BRITISH: Final = ((r"or\b", "our"), (r"iz(e|ed|ing)\b", r"is\1"), (r"er\b", "re"))


@dataclass(frozen=True)
class Rewrite:
    """One rule."""

    name: str
    """What it does, such as `all in capital letters`."""
    apply: Callable[[str], str]

    def __call__(self, text: str) -> str:
        """Return the text after it, or as it was where nothing but space would be left: that may be no token."""
        after = self.apply(text)
        return after if after.strip() else text

    def __str__(self) -> str:
        return self.name


def _words(text: str, known: dict[str, str]) -> str:
    """Return a text with words or short phrases replaced, whatever their case."""
    pattern = re.compile(
        r"\b(" + "|".join(map(re.escape, sorted(known, key=len, reverse=True))) + r")\b", re.IGNORECASE
    )
    return pattern.sub(lambda found: known[found[0].lower()], text)


def _each(text: str, change: Callable[[int, str], str]) -> str:
    return " ".join(change(number, word) for number, word in enumerate(text.split()))


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE_END.split(text.strip()) if part]


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _bare(text: str) -> str:
    return text.strip().rstrip(".!? ")


def _expanded(text: str) -> str:
    return _words(text, {short.lower(): long for long, short in _CONTRACTED.items()})


def _british(text: str) -> str:
    for pattern, ending in _BRITISH:
        text = re.sub(rf"(?<=\w\w\w){pattern}", ending, text)
    return text


def _turned(text: str) -> str:
    """Return a text whose second half of words comes first, behind a comma."""
    words = _bare(text).split()
    half = len(words) // 2
    return f"{' '.join(words[half:])}, {' '.join(words[:half])}." if half else text


def _in_two_lines(text: str) -> str:
    return "\n".join(part for part in split_at(text, "middle") if part)


def _archaic(text: str) -> str:
    return re.sub(r"\b(\w{4,}(?<!e)(?<!s))s\b", r"\1eth", _words(text, _ARCHAIC))


def _repeated(text: str) -> str:
    return " ".join([text.strip()] * (1 + _LONG // (1 + len(text.strip()))))


_CASE: Final = (
    Rewrite("all in small letters", str.lower),
    Rewrite("all in capital letters", str.upper),
    Rewrite("every word with a capital", lambda t: _each(t, lambda _, w: w[:1].upper() + w[1:])),
    Rewrite("every third word in capitals", lambda t: _each(t, lambda n, w: w if n % 3 else w.upper())),
    Rewrite("first word in capitals", lambda t: _each(t, lambda n, w: w if n else w.upper())),
    Rewrite("last word in capitals", lambda t: " ".join([*t.split()[:-1], *(w.upper() for w in t.split()[-1:])])),
    Rewrite("small letters at the beginning of sentences", lambda t: " ".join(map(_lower_first, _sentences(t)))),
)
_SIGNS: Final = (
    Rewrite("without signs", lambda t: re.sub(r"[^\w\s]", "", t)),
    Rewrite("every sentence ends with !", lambda t: re.sub(r"[.?!]+(?=\s|$)", "!", _bare(t) + ".")),
    Rewrite("every sentence ends with …", lambda t: re.sub(r"[.?!]+(?=\s|$)", "…", _bare(t) + ".")),
    Rewrite("every sentence ends with ?", lambda t: re.sub(r"[.?!]+(?=\s|$)", "?", _bare(t) + ".")),
    Rewrite("a comma behind every third word", lambda t: _each(t, lambda n, w: f"{w}," if n % 3 == 2 else w)),
    Rewrite("in quotation marks", lambda t: f'"{t.strip()}"'),
    Rewrite("in brackets", lambda t: f"({t.strip()})"),
    Rewrite("as an entry of a list", lambda t: f"- {t.strip()}"),
    Rewrite("hyphens between words", lambda t: "-".join(t.split())),
)
_SPACES: Final = (
    Rewrite("two spaces between words", lambda t: "  ".join(t.split())),
    Rewrite("no-break spaces between words", lambda t: "\u00a0".join(t.split())),
    Rewrite("a line for each sentence", lambda t: "\n".join(_sentences(t))),
    Rewrite("a line break in the middle", _in_two_lines),
    Rewrite("spaces at the beginning", lambda t: f"    {t}"),
)
_SPELLING: Final = (
    Rewrite("words contracted (don't)", lambda t: _words(t, _CONTRACTED)),
    Rewrite("words in full (do not)", _expanded),
    Rewrite("British endings", _british),
    Rewrite("without articles", lambda t: re.sub(r"\b(a|an|the)\s+", "", t, flags=re.IGNORECASE)),
    Rewrite("& for and", lambda t: _words(t, {"and": "&"})),
)
_STYLE: Final = (
    Rewrite("in an archaic style", _archaic),
    Rewrite("in a chat's style", lambda t: _words(t.lower(), _CHATTY)),
    Rewrite("as a letter", lambda t: f"Dear Sir or Madam, {_lower_first(t.strip())} Yours faithfully"),
    Rewrite("as a headline", lambda t: (_bare(t) or t).title()),
    Rewrite("as verse", lambda t: _each(t, lambda n, w: f"{w} /" if n % 5 == 4 else w)),
)
_SYNTAX: Final = (
    Rewrite("a when-clause in front", lambda t: f"When it comes to that, {_lower_first(t.strip())}"),
    Rewrite("an if-clause in front", lambda t: f"If you look at it, {_lower_first(t.strip())}"),
    Rewrite("a though-clause in front", lambda t: f"Though nobody asked, {_lower_first(t.strip())}"),
    Rewrite("in reported speech", lambda t: f"It was said that {_lower_first(t.strip())}"),
    Rewrite("in reported speech, behind", lambda t: f"{_bare(t)}, it was said."),
    Rewrite("a question behind", lambda t: f"{_bare(t)}, is it not?"),
    Rewrite("the second half first", _turned),
    Rewrite("its sentences in reverse order", lambda t: " ".join(reversed(_sentences(t)))),
    Rewrite("as a subordinate clause", lambda t: f"There is no doubt that {_lower_first(t.strip())}"),
)
_LENGTH: Final = (Rewrite("over and over, to 3,000 characters", _repeated),)
REWRITES: Final = (*_CASE, *_SIGNS, *_SPACES, *_SPELLING, *_STYLE, *_SYNTAX, *_LENGTH)
ALWAYS_NEW: Final = 10
"""Rules at least that change every text, each into another."""
