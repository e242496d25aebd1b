"""A network of tokens as a classifier: answers, lengths, what is counted, and what is refused."""

import pytest
import torch
from torch import nn

from gate.programs import read_program
from gate.records.errors import UnexaminableError
from gate.spaces import load
from gate.spaces.text.packing import ENDED, by_length, lengths_of, packed
from gate.worker.compute import largest_batch
from gate.worker.loading import text_classifier
from gate.worker.loading.fingerprint import fingerprint
from gate.worker.loading.text_classifier import ROOM, TokenClassifier
from gate.worker.loading.text_network import ProgramNetwork
from tests.words.nets import Attending, Bag, ModuleNetwork, ModuleSplit, Recurrent
from tests.words.tasks import LONGEST, classifier, sentences, words
from tests.words.tokenizer import WordTokenizer

TEXTS = [text for text, _ in sentences(40)]


def untrained(kind=Bag, classes=2, tokenizer=None, **changes):
    """Return a network with weights of chance."""
    tokenizer = tokenizer or WordTokenizer(words())
    torch.manual_seed(0)
    module = kind(len(tokenizer.vocabulary()), classes)
    given = {"network": ModuleNetwork(module), "split": ModuleSplit(module)} | changes
    return TokenClassifier.of(given["network"], tokenizer, LONGEST, given["split"], TEXTS)


def test_padding_on_either_side_is_left_out():
    """Tokens are packed to the front, and every text ends where its mask does."""
    ids = torch.tensor([[0, 5, 6, 0], [7, 0, 0, 0], [0, 0, 0, 8]])
    found = packed(ids, ids.ne(0).long())
    assert found.tolist() == [[5, 6], [7, ENDED], [8, ENDED]]
    assert lengths_of(found).tolist() == [2, 1, 1]


def test_groups_have_one_length_and_no_more_tokens_than_allowed():
    """Every row is in one group."""
    lengths = torch.tensor([3, 1, 3, 3, 2, 3])
    groups = by_length(lengths, 6)
    assert sorted(torch.cat(list(groups)).tolist()) == list(range(6))
    assert all(len(set(lengths[group].tolist())) == 1 for group in groups)
    assert all(int(lengths[group].sum()) <= 6 for group in groups)


@pytest.mark.parametrize("kind", [Bag, Recurrent, Attending])
def test_a_text_gets_the_answer_that_it_gets_by_itself(kind, monkeypatch):
    """Whatever stands beside it, and however many tokens share a pass."""
    one = untrained(kind)
    tokens = one.tokens(TEXTS)
    together = one.logits(tokens)
    alone = torch.cat([one.logits(one.tokens([text])) for text in TEXTS])
    assert torch.allclose(together, alone, atol=1e-5)
    monkeypatch.setattr(text_classifier, "MOST_TOKENS", 20)
    assert torch.allclose(together, one.logits(tokens), atol=1e-5)
    logits, features = one.activations(tokens)
    assert torch.allclose(together, logits, atol=1e-5)
    assert features.shape == (len(TEXTS), 24)


@pytest.mark.parametrize("kind", [Bag, Recurrent, Attending])
def test_embeddings_give_the_same_scores_and_gradients(kind):
    """The relaxation of tokens is their embeddings; no gradient reaches what stands after a text's end."""
    one = untrained(kind)
    tokens = one.tokens(TEXTS)
    relaxed = load("tokens").relax(one, tokens)
    point = relaxed.point.detach().requires_grad_()
    assert torch.allclose(relaxed.logits(point), one.logits(tokens), atol=1e-5)
    relaxed.logits(point)[:, 0].sum().backward()
    assert point.grad[tokens == ENDED].abs().sum() == 0
    assert (point.grad[tokens != ENDED].abs().sum(dim=1) > 0).all()


def test_texts_and_tokens_are_counted_as_they_pass():
    """A pass forward of a text is one, and of its tokens as many as it has, by either way."""
    one = untrained()
    tokens = one.tokens(TEXTS)
    texts, counted = one.sample_passes, one.token_passes
    one.logits(tokens)
    assert (one.sample_passes - texts, one.token_passes - counted) == (40, int(lengths_of(tokens).sum()))
    load("tokens").relax(one, tokens).logits(one.embeddings[tokens.clamp(min=0)])
    assert one.sample_passes - texts == 80


def test_a_long_text_is_cut_and_counted():
    """10,000 tokens and exactly as many as the model takes: only what is lost counts."""
    one = untrained()
    texts = ["time " * 10_000, "time " * LONGEST, "time"]
    assert lengths_of(one.tokens(texts)).tolist() == [LONGEST, LONGEST, 1]
    assert one.cut(texts, one.tokens(texts)) == (0,)
    begun = one.beginnings(texts, (0,))
    assert (len(begun[0].split()), begun[1:]) == (LONGEST - min(ROOM, LONGEST // 4), tuple(texts[1:]))


def test_what_a_gradient_keeps_bounds_the_batch():
    """As for images: the longer the texts, the fewer share a pass with gradients."""
    one = untrained(Attending)
    short, long = one.tokens(["time people"]), one.tokens(["time people " * 20])
    assert largest_batch(one, long, 1 << 20, 10**6) < largest_batch(one, short, 1 << 20, 10**6)
    assert largest_batch(one, long, 1, 2048) == 1


def test_one_number_a_text_is_read_as_two_classes():
    """A logit above 0 is class 1."""
    one = untrained(classes=1)
    assert one.one_logit
    assert one.num_classes == 2
    tokens = one.tokens(TEXTS)
    assert torch.equal(one.logits(tokens).argmax(dim=1) == 1, one.network.logits(*_given(tokens))[:, 0] > 0)


def _given(tokens):
    return tokens.clamp(min=0), (tokens != ENDED).long()


def test_a_tokenizer_of_another_model_is_refused():
    """Its ids are beyond the embedding."""
    module = Bag(20, 2)
    with pytest.raises(UnexaminableError, match=r"gives the id \d+, and the model's embedding has 20 rows"):
        untrained(network=ModuleNetwork(module), split=ModuleSplit(module))


def test_a_text_of_no_token_is_refused():
    """It is told by its beginning, and nothing is run on nothing."""
    with pytest.raises(UnexaminableError, match="the tokenizer makes no token of the text ' '"):
        untrained().tokens(["time", " "])


def test_parts_that_do_not_give_what_the_whole_gives_are_refused():
    """A search by gradients would climb another model."""
    module, other = Bag(len(words()) + 2, 2), Bag(len(words()) + 2, 2)
    with pytest.raises(UnexaminableError, match="other scores behind its embedding than as a whole"):
        untrained(network=ModuleNetwork(module), split=ModuleSplit(other))


def test_scores_that_are_not_finite_are_refused():
    """As of images."""
    module = Bag(len(words()) + 2, 2)
    with torch.no_grad():
        module.head.bias[0] = float("nan")
    with pytest.raises(UnexaminableError, match="NaN or infinite scores"):
        untrained(network=ModuleNetwork(module), split=None)


def test_without_an_embedding_of_its_own_there_are_no_gradients():
    """The sweeps go on without."""
    one = untrained(split=None)
    assert one.embeddings is None
    with pytest.raises(UnexaminableError, match="there are no gradients"):
        load("tokens").relax(one, one.tokens(TEXTS))


def test_the_fingerprint_covers_all_weights():
    """A detector that changed one is found out."""
    one = untrained()
    before = fingerprint(one)
    with torch.no_grad():
        one.network.module.head.bias[0] += 1
    assert fingerprint(one) != before


class Exported(nn.Module):
    """A bag that ends in a linear layer, as an export of ids and mask."""

    def __init__(self, bag):
        """Hold the layers."""
        super().__init__()
        self.bag = bag

    def forward(self, ids, mask):
        """Return the scores."""
        return self.bag(ids, mask)


def test_a_program_of_ids_and_mask_scores_as_its_module(tmp_path):
    """Its last linear layer gives the activations."""
    one = classifier(Bag)
    module, tokens = one.network.module, one.tokens(TEXTS)
    dims = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=LONGEST)}
    given = _given(tokens)
    exported = torch.export.export(Exported(module), given, dynamic_shapes=(dict(dims), dict(dims)))
    torch.export.save(exported, tmp_path / "model.pt2")
    network = ProgramNetwork(read_program(tmp_path / "model.pt2"))
    program = TokenClassifier.of(network, one.tokenizer, LONGEST, None, TEXTS)
    assert torch.allclose(program.logits(tokens), one.logits(tokens), atol=1e-5)
    assert torch.allclose(program.activations(tokens)[1], one.activations(tokens)[1], atol=1e-5)
    assert program.feature_layer == "bag.head.weight (24 features)"
