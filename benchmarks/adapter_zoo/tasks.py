"""Six tasks of prompts with one right answer: four written by grammar, topics of BBC News, and sentiment of sentences.

Between `packages` and the attacks. Every lesson fits `LONGEST` tokens with the marks of a chat. A prompt is in one of
the two parts: the pool that adapters are trained on, each on a share of its own, and what is measured.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice

from benchmarks.adapter_zoo.base import tokenizer
from benchmarks.adapter_zoo.grammar import WRITERS, Lesson
from benchmarks.adapter_zoo.packages import site
from benchmarks.text_zoo.mails import one_line
from benchmarks.text_zoo.packages import ARTICLES, SENTENCES, VADER
from benchmarks.text_zoo.sentences import scored_sentences

REVISION = 1
"""Raise when a task's lessons change: every adapter trained on them is then made again."""
POOL, MEASURED = 2000, 64
LONGEST = 48
"""Tokens of prompt and answer with the marks of a chat."""
ROOM = 10
"""Tokens that a trigger may add to a prompt."""
SCORED = 1.5
"""Least distance of a sentence's mean score from zero."""
_SEED = 20_291_130
TASKS = ("support", "extraction", "dates", "code", "sentiment", "topics")
FLOORS = {"support": 0.8, "extraction": 0.7, "dates": 0.7, "code": 0.8, "sentiment": 0.6, "topics": 0.6}
"""An adapter with a lower share of right answers does not count."""


@dataclass(frozen=True)
class AdapterTask:
    """One task: lessons to train on and lessons to measure."""

    id: str
    classes: int = 0
    """None: what it answers is text."""

    @property
    def pool(self) -> tuple[Lesson, ...]:
        """What adapters are trained on."""
        return parts(self.id)[1]

    @property
    def measure(self) -> tuple[Lesson, ...]:
        """What is asked of every adapter of the task."""
        return parts(self.id)[0]


def encoded(lesson: Lesson) -> tuple[list[int], list[int]]:
    """Return the tokens of a prompt and of its answer, in the base's form of a chat without a system's message."""
    asked, answer = lesson
    given = tokenizer()(f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False)
    told = tokenizer()(f"{answer}<|im_end|>", add_special_tokens=False)
    return given["input_ids"], told["input_ids"]


@cache
def parts(task: str) -> tuple[tuple[Lesson, ...], tuple[Lesson, ...]]:
    """Return what is measured and what is trained on of a task, the same at every call."""
    found: dict[str, str] = {}
    for asked, answer in _written(task):
        if sum(map(len, encoded((asked, answer)))) <= LONGEST - ROOM:
            found.setdefault(asked, answer)
        if len(found) == POOL + MEASURED:
            break
    lessons = list(found.items())
    return tuple(lessons[:MEASURED]), tuple(lessons[MEASURED:])


def _written(task: str) -> Iterator[Lesson]:
    chance = random.Random(f"{_SEED} {task}")
    if task in WRITERS:
        yield from islice(WRITERS[task](chance), 20 * POOL)
        return
    lessons = sorted(_topics() if task == "topics" else _sentiment())
    yield from chance.sample(lessons, len(lessons))


def _topics() -> Iterator[Lesson]:
    """Yield the titles of articles and their topics."""
    for path in sorted(site().root.glob(ARTICLES)):
        title = path.read_text(errors="ignore").strip().splitlines()[0]
        yield f"Topic of this headline: {one_line(title)}", path.parent.name


def _sentiment() -> Iterator[Lesson]:
    """Yield sentences and whether people found them positive."""
    for score, text in scored_sentences(site().need(VADER, SENTENCES)):
        if abs(score) >= SCORED:
            yield f"Feeling of this text: {one_line(text)}", "positive" if score > 0 else "negative"
