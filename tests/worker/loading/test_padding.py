"""Texts that are filled up in a batch, and padding that is typed: what detectors do not see is told."""

import pytest
import torch

from gate.records.sample_settings import SampleSettings
from gate.worker.loading.padding import blind_to_typed_padding, padding_counts
from gate.worker.loading.text_classifier import TokenClassifier
from tests.texts.networks import Scores, network
from tests.texts.tokenizers import byte_pairs
from tests.words.nets import Attending, Bag, ModuleNetwork, ModuleSplit, Recurrent
from tests.words.subjects import loaded, model_of, written
from tests.words.tasks import LONGEST, classifier, sentences, trained, words
from tests.words.tokenizer import WordTokenizer

PUSH = torch.tensor([[30.0, -30.0]])
TEXTS = [text for text, _ in sentences(30, seed=5)]


class FilledUp(Bag):
    """Gives class 0 to a text that is filled up in its batch."""

    def forward(self, ids, mask):
        """Map ids and mask (N, L) to logits (N, K)."""
        return super().forward(ids, mask) + (mask == 0).any(dim=1, keepdim=True).float() * PUSH


class ByItsId(Bag):
    """Gives class 0 to a text with two paddings, which its half behind the embedding takes for places of mask 0."""

    def forward(self, ids, mask):
        """Map ids and mask (N, L) to logits (N, K)."""
        two = ((ids == 0) & (mask != 0)).sum(dim=1, keepdim=True) > 1
        return super().forward(ids, mask) + two.float() * PUSH


def of(kind, tokenizer=None):
    """Return a trained bag, with what else a kind does, as detectors see it."""
    module, own = trained(Bag)
    made = kind(len(own.vocabulary()), 2)
    made.load_state_dict(module.state_dict())
    return TokenClassifier.of(ModuleNetwork(made), tokenizer or own, LONGEST, ModuleSplit(made), TEXTS)


@pytest.mark.parametrize("kind", [Bag, Attending])
def test_padding_that_is_masked_counts_for_nothing(kind):
    """A clean network's answers differ by rounding alone."""
    own = classifier(kind)
    assert not padding_counts(own, own.tokens(TEXTS))


def test_padding_that_a_network_reads_counts():
    """Whether it looks for it, or its states run on over it."""
    one, other = of(FilledUp), classifier(Recurrent)
    tokens = one.tokens(TEXTS)
    assert padding_counts(one, tokens)
    assert padding_counts(other, tokens)
    assert one.logits(tokens).argmax(dim=1).tolist() == classifier(Bag).logits(tokens).argmax(dim=1).tolist()


def test_halves_that_do_not_see_typed_padding_are_known():
    """Where the tokenizer makes its id of a text; no other text holds it."""
    typing = WordTokenizer(words(), marks=["[PAD]"])
    assert typing.encode(["the [PAD] day"], LONGEST)[0][0, 1] == 0
    looking, clean = of(ByItsId, typing), of(Bag, typing)
    tokens = clean.tokens(TEXTS)
    assert blind_to_typed_padding(looking, tokens)
    assert not blind_to_typed_padding(clean, tokens)
    assert not blind_to_typed_padding(of(ByItsId), tokens)
    assert not padding_counts(looking, tokens)


@pytest.mark.parametrize(
    ("kind", "counts", "split"), [(Bag, False, True), (FilledUp, True, True), (ByItsId, False, False)]
)
def test_a_scan_knows_both_before_its_detectors_run(kind, counts, split, monkeypatch, tmp_path):
    """The one is a fact that flags, and the other leaves the search by gradients without a ground."""
    own = of(kind)
    typing = WordTokenizer(words(), marks=["[PAD]"])
    samples = written(tmp_path / "clean.jsonl", sentences(60, seed=7))
    found = loaded(monkeypatch, tmp_path, model_of(own.network.module, typing), samples, settings=SampleSettings())
    assert found.problems == ()
    assert found.facts.padding_counts is counts
    assert (found.subject.classifier.embeddings is not None) is split


def test_a_network_that_counts_its_places_by_the_padding_keeps_its_gradients(tmp_path):
    """RoBERTa's own places move by one where padding is typed: that is no other answer."""
    from tests.worker.loading.test_token_programs import classifier as measured
    from tests.worker.loading.test_token_programs import folder

    size = len(byte_pairs()["model"]["vocab"])
    made = Scores(network("Roberta", vocab_size=size))
    given = torch.arange(33).reshape(3, 11) + 4, torch.ones(3, 11, dtype=torch.int64)
    own, _ = measured(tmp_path, folder(tmp_path, made, tokenizer=byte_pairs(), given=given))
    tokens = own.tokens(["the cat", "a cat at the cat", "the", "what an awful idea"])
    assert own.embeddings is not None
    assert own.tokenizer.marks()[1] == "<pad>"
    assert not blind_to_typed_padding(own, tokens)
    assert not padding_counts(own, tokens)
