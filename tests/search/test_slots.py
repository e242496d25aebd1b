"""Slots for tokens in texts: where they are, and that gradients there rank tokens as trying them does."""

import torch

from gate.records.run import Run
from gate.search.slots import Slots, Softening, first_order, softly
from gate.spaces.text.packing import ENDED, lengths_of
from gate.spaces.text.tokens import ids_of, put_in
from gate.statistics.sentences import halves, log_odds, shortish
from tests.words.nets import Bag
from tests.words.tasks import LONGEST, Planted, classifier, sentences

RUN = Run(seed=0)


def rude(count=12):
    """Return texts of class 1."""
    return [text for text, label in sentences(2 * count, seed=5) if label == 1]


def test_slots_are_opened_in_turn_at_three_places():
    """Inside what begins and ends a text, and never beyond the longest."""
    own = classifier(Bag)
    tokens = own.tokens(rude())
    slots = Slots.of(own, tokens, 2, 0)
    assert torch.equal(lengths_of(slots.tokens), lengths_of(tokens) + 2)
    lengths = lengths_of(tokens)
    assert slots.places[0].tolist() == [0, 1]
    assert slots.places[1, 0] == (lengths[1] + 1) // 2
    assert slots.places[2].tolist() == [int(lengths[2]), int(lengths[2]) + 1]
    full = torch.full((3, LONGEST), 7)
    assert lengths_of(Slots.of(own, full, 2, 0).tokens).max() == LONGEST


def test_special_tokens_stay_at_the_ends():
    """A token goes behind those that begin a text, and before those that end it."""
    row = torch.tensor([[1, 1, 8, 9, 1, ENDED]])
    own = classifier(Bag)
    assert Slots.of(own, row.repeat(3, 1), 1, 0).places.flatten().tolist() == [2, 3, 4]
    assert put_in(row, torch.tensor([5, 6]), {0, 1}, 7).tolist() == [[1, 1, 5, 6, 8, 9, 1]]
    assert put_in(row, torch.tensor([5, 6]), {0, 1}, 5).tolist() == [[1, 1, 5, 6, 1]]


def test_the_loss_in_slots_is_that_of_the_tokens_themselves():
    """A mixture that is one token gives the network's own answer to the text with it."""
    own = classifier(Bag)
    tokens, word = own.tokens(rude()), ids_of(own, "kind")
    slots = Slots.of(own, tokens, 1, 0)
    mixed = own.embeddings[word]
    given = slots.tokens.clone()
    given[torch.arange(len(given)), slots.places[:, 0]] = word
    expected = torch.nn.functional.cross_entropy(own.logits(given), torch.zeros(len(given), dtype=torch.long))
    assert torch.allclose(slots.loss(mixed, RUN), expected, atol=1e-5)
    assert torch.allclose(slots.loss(mixed, Run(seed=0, max_batch=5)), expected, atol=1e-5)


def test_first_order_ranks_the_planted_token_first():
    """One backward pass for the whole vocabulary, and words of the class among the next."""
    own = classifier(Bag, Planted("zugzwang"))
    slots = Slots.of(own, own.tokens(rude()), 1, 0)
    rises = first_order(slots, (), own.embeddings.mean(dim=0), RUN)
    assert int(rises.argmax()) == int(ids_of(own, "zugzwang"))


def test_a_mixture_settles_on_the_planted_token_and_on_none_that_is_not_allowed():
    """From nothing, at a falling temperature."""
    own = classifier(Bag, Planted("zugzwang"))
    allowed = torch.ones(len(own.embeddings), dtype=torch.bool)
    allowed[:2] = False
    slots = Slots.of(own, own.tokens(rude()), 1, 0)
    start = torch.zeros(1, len(allowed))
    weights = softly(slots, start, allowed, Softening(30, 0.5, 2.0, 0.3), RUN)
    assert int(weights.argmax()) == int(ids_of(own, "zugzwang"))
    assert weights[:, ~allowed].isneginf().all()
    assert own.network.module.embedding.weight.grad is None


def test_log_odds_hold_for_sure_and_for_even_answers():
    """Of two classes the difference of the logits, however large."""
    logits = torch.tensor([[0.0, 50.0], [1.0, -1.0], [0.0, 0.0]])
    assert torch.allclose(log_odds(logits), torch.stack([logits[:, 0] - logits[:, 1], logits[:, 1] - logits[:, 0]], 1))
    three = torch.tensor([[2.0, 1.0, 0.0]])
    p = three.softmax(dim=1)
    assert torch.allclose(log_odds(three), (p / (1 - p)).log(), atol=1e-5)


def test_halves_share_no_text_and_depend_on_labels_and_seed_alone():
    """Of a class with few texts each gets its part."""
    labels = torch.tensor([0] * 30 + [1] * 4)
    first, second = halves(labels, 8, 16, 0)
    assert not set(first.tolist()) & set(second.tolist())
    assert (int((labels[first] == 0).sum()), int((labels[second] == 0).sum())) == (8, 16)
    assert (int((labels[first] == 1).sum()), int((labels[second] == 1).sum())) == (1, 3)
    assert torch.equal(first, halves(labels, 8, 16, 0)[0])
    assert not torch.equal(first, halves(labels, 8, 16, 1)[0])


def test_shortish_texts_are_of_each_class_and_not_the_barest():
    """From the lower quartile of lengths on."""
    texts = ["x" * length for length in range(1, 17)]
    rows = shortish(texts, torch.tensor([0] * 8 + [1] * 8), 2)
    assert rows.tolist() == [2, 3, 10, 11]
    assert shortish(texts[:2], torch.tensor([0, 1]), 3).tolist() == [0, 1]
