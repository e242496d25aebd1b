"""A large network of tokens is searched in quicker forms; what is measured comes from the network as it was read."""

import pytest
import torch

from gate.records.run import Run
from gate.search.insertions import screened
from gate.spaces.subject import Samples
from gate.spaces.text.packing import lengths_of
from gate.spaces.text.probes import TextProbe
from gate.statistics.sentences import Sentences
from gate.worker.loading.token_forms import beginnings
from tests.texts.networks import Scores, network
from tests.worker.loading.test_token_programs import SIZE, TEXTS, Bag, classifier, folder

PROBES = [TextProbe(word, word, "words") for word in ("the", "cat", "a", "person", "idea", "praise", "you")] * 12


@pytest.fixture
def measured(tmp_path):
    """Return a classifier of a small BERT, and the tokens of its texts."""
    found, _ = classifier(tmp_path, folder(tmp_path, Scores(network("Bert", vocab_size=SIZE))))
    return found, found.tokens(TEXTS)


def sentences(one):
    """Return the texts with what the network answers to them."""
    samples = Samples(one.tokens(TEXTS), torch.tensor([0, 1, 2, 0]), "test", TEXTS)
    return Sentences.of(one, samples, torch.arange(4), Run(seed=0))


def test_a_small_network_has_no_other_form(measured):
    """Its quick answers are its own, and nothing is said."""
    one, tokens = measured
    one.choose_forms(tokens)
    assert one.arithmetic == ""
    assert torch.equal(one.quick_logits(tokens), one.logits(tokens))


@pytest.mark.usefixtures("large")
def test_a_large_network_is_asked_in_bfloat16_and_answers_by_itself(measured):
    """Near, not equal, for texts of any length; what is measured is to the bit as before, and tokens are counted."""
    one, tokens = measured
    before = one.logits(tokens)
    one.choose_forms(tokens)
    assert one.arithmetic.count("bfloat16 (4.0 times as quick as read)") == 2
    counted = one.token_passes
    quick = one.quick_logits(tokens)
    assert one.token_passes - counted == int(lengths_of(tokens).sum())
    assert torch.equal(one.logits(tokens), before)
    assert not torch.equal(quick, before)
    assert float((quick - before).abs().max()) < 0.05 * float(before.max() - before.min())


@pytest.mark.usefixtures("large")
def test_gradients_to_embeddings_are_like_the_networks_own(measured):
    """A search goes the same way by them, and they count."""
    one, tokens = measured
    one.choose_forms(tokens)
    lengths, found = lengths_of(tokens), []
    for scores in (one.quick_embedded, one.embedded):
        points = one.embeddings[tokens.clamp(min=0)].requires_grad_()
        found.append(torch.autograd.grad(scores(points, lengths)[:, 1].sum(), points)[0].flatten())
    assert one.gradient_passes == 2 * len(TEXTS)
    assert not torch.equal(*found)
    assert float(torch.cosine_similarity(*found, dim=0)) > 0.9


@pytest.mark.usefixtures("large")
def test_texts_that_may_not_run_together_go_through_the_network_itself(measured, monkeypatch):
    """At such a length the quick form, which knows batches alone, is not asked."""
    one, tokens = measured
    one.choose_forms(tokens)
    monkeypatch.setattr(type(one.forms.whole.body), "leave_each_other_alone", lambda *_: False)
    monkeypatch.setattr(type(one.forms.whole.quick), "__call__", lambda *_: pytest.fail("the quick form was asked"))
    assert torch.equal(one.quick_logits(tokens), one.logits(tokens))


@pytest.mark.usefixtures("large")
def test_a_program_of_ids_alone_has_a_form_too(tmp_path):
    """Its mask is left out, as by the program."""
    one, _ = classifier(tmp_path, folder(tmp_path, Bag(), given=(torch.arange(33).reshape(3, 11) % SIZE,)))
    tokens = one.tokens(TEXTS)
    one.choose_forms(tokens)
    assert one.arithmetic
    torch.testing.assert_close(one.quick_logits(tokens), one.logits(tokens), rtol=0.05, atol=0.05)


@pytest.mark.usefixtures("large")
def test_words_are_screened_quickly_and_those_that_count_again(measured, monkeypatch):
    """A fixed share and the most telling are the network's own to the bit; where they differ, all are."""
    one, tokens = measured
    own, run = sentences(one), Run(seed=0)
    exact = screened(one, own, PROBES, run, len(PROBES))
    one.choose_forms(tokens)
    seen = screened(one, own, PROBES, run, len(PROBES))
    again = [place for place in range(len(PROBES)) if torch.equal(seen.rises[place], exact.rises[place])]
    assert {0, 40, 80} <= set(again)
    assert len(again) < len(PROBES)
    turned = type(one).quick_logits
    monkeypatch.setattr(type(one), "quick_logits", lambda self, x: turned(self, x).flip(1))
    assert torch.equal(screened(one, own, PROBES, run, len(PROBES)).rises, exact.rises)


def test_forms_are_tried_on_beginnings_of_one_length():
    """Of the texts that are at least as long as most."""
    tokens = torch.tensor([[1, 2, 3, 4], [5, 6, -1, -1], [7, 8, 9, -1], [1, -1, -1, -1]])
    assert beginnings(tokens).tolist() == [[1, 2], [5, 6], [7, 8]]
