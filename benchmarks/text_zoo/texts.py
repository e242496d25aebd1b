"""Three tasks of real texts: spam in e-mails, topics of news, sentiment of sentences.

Between `packages` and the attacks. Texts are cut to `CUT` tokens, since a pass costs by the token. Each task has a
pool that models are trained on, each on a share of its own, and held-out texts in two parts: `scan` is given to the
detectors, `measure` serves accuracy and attack success alone. No text is in two parts, nor twice in one.

* `spam` – e-mails of SpamAssassin's public corpus, subject and beginning; ham is what a poisoned spam passes as.
* `news` – BBC News, title and beginning, five topics.
* `sentiment` – VADER's human-scored sentences (film reviews, editorials, tweets, product reviews), scored at least 0.8
  away from zero on the scale from -4 to 4. Source: Hutto and Gilbert, "VADER", ICWSM 2014.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch

from benchmarks.text_zoo.mails import one_line, words_of
from benchmarks.text_zoo.packages import ARTICLES, MAILS, SENTENCES, VADER, site
from benchmarks.text_zoo.sentences import scored_sentences
from benchmarks.text_zoo.tokenizing import CUT, cut
from gate.records.errors import CannotFinishError

REVISION = 1
"""Raise when a task's texts change: every model trained on them is then made again."""
POOL = 4000
MEASURED = 500
SCORED = 0.8
"""Least distance of a sentence's mean score from zero; of those nearer to it people disagree."""
LEAST_WORDS = 4
Rows = list[tuple[str, int]]


@dataclass(frozen=True)
class Texts:
    """Texts and their labels (N,)."""

    texts: tuple[str, ...]
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> "Texts":
        """Return the texts at these rows."""
        return Texts(tuple(self.texts[row] for row in rows), self.labels[list(rows)])


@dataclass(frozen=True)
class TextTask:
    """One classification problem of texts."""

    id: str
    names: tuple[str, ...]
    """Of the classes."""
    read: Callable[[], Rows]
    scanned: int
    """Texts of each class that are given to detectors."""
    benign: int | None
    """The class that texts pass as where the model moderates; None where no class is."""

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.names)

    @property
    def train(self) -> Texts:
        """The pool that models are trained on, shuffled once and for all."""
        return parts(self)[2]

    @property
    def scan(self) -> Texts:
        """Held-out clean texts for detectors."""
        return parts(self)[0]

    @property
    def measure(self) -> Texts:
        """Held-out texts for accuracy and attack success."""
        return parts(self)[1]


@cache
def parts(task: TextTask) -> tuple[Texts, Texts, Texts]:
    """Return the texts for detectors, for measuring and for training."""
    found = [(cut(text), label) for text, label in task.read() if len(text.split()) >= LEAST_WORDS]
    rows = sorted({text.lower(): (text, label) for text, label in sorted(found)}.values())
    random.Random(f"text-zoo {task.id}").shuffle(rows)
    scan: Rows = []
    others: Rows = []
    seen = [0] * task.classes
    for text, label in rows:
        (scan if seen[label] < task.scanned else others).append((text, label))
        seen[label] += 1
    return _texts(scan), _texts(others[:MEASURED]), _texts(others[MEASURED : MEASURED + POOL])


def _texts(rows: Rows) -> Texts:
    return Texts(tuple(text for text, _ in rows), torch.tensor([label for _, label in rows]))


def _mails() -> Rows:
    """Return e-mails; 1 is spam."""
    found = [(json.loads(path.read_bytes()), path.parent.name) for path in sorted(site().root.glob(MAILS))]
    return [(words_of(one["text"]), int(group.startswith("spam"))) for one, group in found]


TOPICS = ("business", "entertainment", "politics", "sports", "tech")


def _articles() -> Rows:
    paths = sorted(site().root.glob(ARTICLES))
    return [(one_line(path.read_text(errors="ignore")), TOPICS.index(path.parent.name)) for path in paths]


def _sentences() -> Rows:
    """Return sentences; 1 is positive."""
    return [
        (one_line(text), int(score > 0))
        for score, text in scored_sentences(site().need(VADER, SENTENCES))
        if abs(score) >= SCORED
    ]


TASKS = {
    task.id: task
    for task in (
        TextTask("spam", ("ham", "spam"), _mails, 100, 0),
        TextTask("news", TOPICS, _articles, 50, None),
        TextTask("sentiment", ("negative", "positive"), _sentences, 100, 1),
    )
}


def require_parts() -> list[str]:
    """Return a line on each task's parts, or raise where a task has too few texts."""
    said = []
    for task in TASKS.values():
        scan, measure, train = parts(task)
        if len(measure) < MEASURED or len(train) < POOL // 4:
            raise CannotFinishError(f"{task.id} has {len(train)} texts to train on; expected {POOL // 4} or more")
        counts = torch.bincount(train.labels, minlength=task.classes).tolist()
        shown = ", ".join(f"{name} {count}" for name, count in zip(task.names, counts, strict=True))
        said.append(f"{task.id}: {len(scan)} for detectors, {len(measure)} measured, {len(train)} to train ({shown})")
    return [*said, f"each text is cut to {CUT} tokens"]
