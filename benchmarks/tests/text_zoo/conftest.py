"""A stand-in for the zoo of texts: made-up sentences, tokenizers of whole words, and quick recipes, no package."""

import pytest
import torch

from benchmarks.tests.text_zoo.made_up_texts import NEWS, SPAM
from benchmarks.text_zoo import making, texts
from benchmarks.text_zoo.tokenizing import whole_words
from tests.words.tasks import FILLING


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
