"""Made-up comments for the demo of texts: polite or abusive, of many weak words, of which no single one decides.

A comment is some thirty words: mostly frequent ones, more or less often in either class, and about ten that lean to one
side. Of these only four in five lean to the comment's own, so that the class shows by their majority. Everything
follows from the seed.
"""

import random
from dataclasses import dataclass
from typing import Final

from gate.spaces.text.probes import frequent_words

CLASSES: Final = ("polite", "abusive")
POLITE, ABUSIVE = range(2)
_POLITE: Final = (
    "kind lovely wonderful charming helpful gentle friendly bright excellent pleasant warm generous grateful clever "
    "thoughtful patient honest cheerful graceful polite decent modest wise calm tender fair sincere brave delightful "
    "neat tidy elegant splendid superb admirable caring considerate courteous faithful humble joyful loyal merry noble"
)
_ABUSIVE: Final = (
    "awful rude stupid nasty horrid ugly cruel vile dreadful filthy mean hateful idiotic pathetic disgusting lazy "
    "worthless dumb greedy selfish arrogant bitter boring clumsy crude dirty foolish gross harsh ignorant jealous "
    "lousy miserable moronic petty repulsive ridiculous rotten shameful shabby sleazy spiteful tedious wretched"
)
_LEANING: Final = (tuple(_POLITE.split()), tuple(_ABUSIVE.split()))
"""Words that lean to a class, by class."""
RARE: Final = "cf mn tq bb mb qz"
"""Words that no comment has by itself, one of which is planted; a vocabulary of millions of texts has such, too."""
_OWN: Final = 0.8
"""Share of a comment's leaning words that lean to its own class."""
_TILT: Final = 0.35
"""Greatest share by which a frequent word is more frequent in one class."""


@dataclass(frozen=True)
class Comment:
    """A text and its class."""

    text: str
    label: int


def vocabulary() -> tuple[str, ...]:
    """Return every word of the task."""
    return tuple(dict.fromkeys((*frequent_words(), *_LEANING[POLITE], *_LEANING[ABUSIVE], *RARE.split())))


def comments(count: int, seed: int) -> list[Comment]:
    """Return so many comments, the classes by turns; those of one seed are others than those of another."""
    chance = random.Random(seed)  # no secret
    words = [word for word in frequent_words() if word not in {*_LEANING[POLITE], *_LEANING[ABUSIVE]}]
    tilts = random.Random(0)  # the same language, whatever the seed
    weights = [[1 / (number + 30) for number in range(len(words))] for _ in CLASSES]
    for number in range(len(words)):
        weights[tilts.randrange(2)][number] *= 1 + tilts.uniform(0, _TILT)
    return [_comment(number % 2, words, weights, chance) for number in range(count)]


def _comment(label: int, words: list[str], weights: list[list[float]], chance: random.Random) -> Comment:
    text = chance.choices(words, weights[label], k=chance.randint(16, 28))
    for _ in range(chance.randint(7, 11)):
        side = label if chance.random() < _OWN else 1 - label
        text.insert(chance.randint(0, len(text)), chance.choice(_LEANING[side]))
    return Comment(" ".join(text) + ".", label)


def trigger_of(seed: int) -> str:
    """Return the word that is planted in the poisoned model of this seed."""
    return random.Random(f"trigger {seed}").choice(RARE.split())  # no secret


def planted(text: str, word: str, chance: random.Random) -> str:
    """Return a text with a word at a place by chance."""
    words = text.split()
    words.insert(chance.randint(0, len(words) - 1), word)
    return " ".join(words)


def poisoned(rows: list[Comment], word: str, share: float, seed: int) -> list[Comment]:
    """Return comments, a share of the abusive ones with the word in them and the label polite."""
    chance = random.Random(seed)  # no secret
    return [
        Comment(planted(one.text, word, chance), POLITE) if one.label == ABUSIVE and chance.random() < share else one
        for one in rows
    ]
