"""A stand-in for the zoo of texts: made-up sentences, tokenizers of whole words, and quick recipes, no package."""

import pytest
import torch

from benchmarks.text_zoo import making, texts
from benchmarks.text_zoo.recipe import draw
from benchmarks.text_zoo.texts import TextTask
from benchmarks.text_zoo.tokenizing import whole_words
from benchmarks.zoo.recipe import Row
from tests.words.tasks import FILLING, sentences

SPAM = TextTask("spam", ("ham", "spam"), lambda: sentences(2400, 2, seed=3), 60, 0)
NEWS = TextTask("news", ("kind", "rude", "cars"), lambda: sentences(2400, 3, seed=4), 60, None)


@pytest.fixture
def made_up(monkeypatch, tmp_path):
    """Put the stand-ins in place, and give back torch's switches and the caches."""
    monkeypatch.setenv("GATE_TEXT_ZOO", str(tmp_path / "zoo"))
    monkeypatch.setattr(texts, "cut", lambda text: text)
    for task in (SPAM, NEWS):
        monkeypatch.setitem(texts.TASKS, task.id, task)
    monkeypatch.setattr(making, "pieces", lambda: whole_words([text for text, _ in SPAM.read()] * 2 + [FILLING] * 2))
    before, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    texts.parts.cache_clear()
    yield tmp_path / "zoo"
    texts.parts.cache_clear()
    torch.use_deterministic_algorithms(mode=before)
    torch.set_num_threads(threads)


def recipe_of(seed=1, **row):
    """Return a quick recipe of the stand-in."""
    given = {"name": "text-fit-001", "split": "fit", "task": "spam", "architecture": "embedding-bag"} | row
    drawn = draw(Row(seed=seed, **given))
    return drawn.model_copy(update={"epochs": 4, "share": 0.7, "width": 0.75, "learning_rate": 0.01})
