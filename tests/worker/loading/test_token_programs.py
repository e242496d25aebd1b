"""A program of token ids with its tokenizer, as the scan worker loads it: texts in, scores and gradients out."""

import json

import pytest
import torch
from torch import nn

from gate.programs import read_program
from gate.records.errors import UnexaminableError
from gate.records.facts import ModelFacts
from gate.worker.loading import token_programs as module
from gate.worker.loading.model import Model
from gate.worker.loading.text_classifier import TokenClassifier
from gate.worker.loading.token_programs import with_tokenizer
from tests.texts import tokenizers
from tests.texts.networks import Scores, export, network, tokens
from tests.texts.tokenizers import changed, raw, wordpiece

SIZE = len(wordpiece()["model"]["vocab"])
CUT = {"direction": "Right", "max_length": 40, "strategy": "LongestFirst", "stride": 0}
TEXTS = ("You are a wonderful person!", "awful", "the cat, the cat", "an idea of praise")


class Bag(nn.Module):
    """The mean of embeddings, of ids alone; `looks` is what else it does with them."""

    def __init__(self, looks=lambda ids, rows: rows):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.head = nn.Embedding(SIZE, 8), nn.Linear(8, 3)
        self.looks = looks

    def forward(self, input_ids):
        """Return class scores."""
        return self.head(self.looks(input_ids, self.words(input_ids)).mean(1))


def folder(root, made, *, given=None, tokenizer=None, **settings):
    """Write a program and the tokenizer beside it, and return the model that was read of it."""
    (root / "extra_files").mkdir(parents=True)
    if tokenizer is not False:
        (root / "extra_files" / "tokenizer.json").write_bytes(raw({**(tokenizer or wordpiece()), "truncation": CUT}))
    (root / "MLmodel").write_text("flavors: {}\nmetadata: {classes: [kind, rude, toxic]}\n")
    ids, mask = tokens(3, 11)
    program = read_program(export(made, root / "model.pt2", given=given or (ids % SIZE, mask), **settings))
    return Model(program, "A", ModelFacts())


def classifier(root, model):
    """Return the classifier that measures it."""
    text = with_tokenizer(root, model).text
    return TokenClassifier.of(text.network, text.tokenizer, text.longest, text.split, TEXTS), text


def test_a_network_of_transformers_is_measured_by_its_texts(tmp_path):
    """Scores as the network gives each text alone; embeddings have gradients; names are the metadata's."""
    made = network("Bert", vocab_size=SIZE)
    model = folder(tmp_path, Scores(made))
    measured, text = classifier(tmp_path, model)
    assert (text.longest, text.class_names) == (40, {0: "kind", 1: "rude", 2: "toxic"})
    given = measured.tokens(TEXTS)
    with torch.no_grad():
        alone = [made(*text.tokenizer.encode([one], 40)).logits for one in TEXTS]
    torch.testing.assert_close(measured.logits(given), torch.cat(alone))
    assert measured.embeddings.shape == (SIZE, 32)
    points = measured.embeddings[given.clamp(min=0)].requires_grad_()
    lengths = (given >= 0).sum(1)
    (slopes,) = torch.autograd.grad(measured.embedded(points, lengths)[:, 1].sum(), points)
    assert float(slopes[given >= 0].abs().max()) > 0
    assert measured.activations(given)[1].shape == (len(TEXTS), 32)
    assert not measured.only_alone


def test_labels_beside_the_tokenizer_name_the_classes(tmp_path):
    """In a bundle they are what the gate wrote; what is no name is left out."""
    model = folder(tmp_path, Scores(network("Bert", vocab_size=SIZE)))
    (tmp_path / "extra_files" / "labels.json").write_text(json.dumps({"0": "clean", "1": "toxic <b>", "x": "y"}))
    assert with_tokenizer(tmp_path, model).text.class_names == {0: "clean", 1: "toxic <b>"}
    (tmp_path / "extra_files" / "labels.json").write_text("[" * 1000)
    assert with_tokenizer(tmp_path, model).text.class_names == {}


def test_a_program_of_ids_alone_is_given_no_mask(tmp_path):
    """Texts of one length meet, so that there is nothing to mask."""
    bag = Bag()
    measured, _ = classifier(tmp_path, folder(tmp_path, bag, given=(tokens(3, 9)[0] % SIZE,)))
    given = measured.tokens(TEXTS)
    with torch.no_grad():
        alone = [bag(row[row >= 0][None]) for row in given]
    torch.testing.assert_close(measured.logits(given), torch.cat(alone))


def test_a_graph_that_looks_at_ids_themselves_has_no_gradients_to_give(tmp_path):
    """It is measured forward; a search by gradients is told that it would be blind."""
    bag = Bag(lambda ids, rows: rows + (ids == 77).float()[..., None])
    measured, text = classifier(tmp_path, folder(tmp_path, bag, given=(tokens(3, 9)[0] % SIZE,)))
    assert text.split is None
    assert measured.embeddings is None


class Watching(nn.Module):
    """Adds what the first text of the batch has, where it is long."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.head = nn.Embedding(SIZE, 8), nn.Linear(8, 3)

    def forward(self, input_ids):
        """Return class scores."""
        rows = self.words(input_ids)
        return self.head(rows.mean(1) + rows[:1].mean(1))


def test_texts_that_look_at_each_other_run_alone_and_it_is_noted(tmp_path):
    """As a consumer of one text at a time is answered; what several do together was not seen."""
    watching = Watching()
    measured, _ = classifier(tmp_path, folder(tmp_path, watching, given=(tokens(3, 9)[0] % SIZE,)))
    given = measured.tokens(("awful cat", "the person"))
    with torch.no_grad():
        alone = [watching(row[None]) for row in given]
    torch.testing.assert_close(measured.logits(given), torch.cat(alone))
    assert measured.only_alone


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"tokenizer": False}, "takes token ids and their mask, and no tokenizer lies beside it"),
        ({"free": False}, "every text would have 11 tokens; expected any length"),
        ({"tokenizer": {**wordpiece(), "normalizer": {"type": "Own"}}}, "the tokenizer beside it is not read"),
        ({"tokenizer": tokenizers.unigram()}, None),
    ],
)
def test_what_does_not_go_together_is_refused(settings, sentence, tmp_path):
    """Each in one sentence with what to do."""
    model = folder(tmp_path, Scores(network("Bert", vocab_size=SIZE)), **settings)
    if sentence is None:
        assert with_tokenizer(tmp_path, model).text.tokenizer.padding == 1
        return
    with pytest.raises(UnexaminableError) as told:
        with_tokenizer(tmp_path, model)
    assert sentence in f"{told.value}"


def test_other_inputs_than_ids_and_mask_are_refused(tmp_path):
    """In the order in which a consumer passes them."""

    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.bag = Bag()

        def forward(self, attention_mask, input_ids):
            return self.bag(input_ids) + attention_mask.sum()

    ids, mask = tokens(3, 9)
    model = folder(tmp_path, Turned(), given=(mask, ids % SIZE))
    with pytest.raises(UnexaminableError, match="of two inputs the first is named input_ids"):
        with_tokenizer(tmp_path, model)


class Typed(nn.Module):
    """A bag that turns ids and mask into its own types."""

    def __init__(self):
        super().__init__()
        self.bag = Bag()

    def forward(self, input_ids, attention_mask):
        """Return class scores."""
        return self.bag(input_ids.long()) + attention_mask.float().sum()


@pytest.mark.parametrize(
    ("types", "said"),
    [
        ((torch.int32, torch.int32), "input_ids (any, any) as int32, attention_mask (any, any) as int32"),
        ((torch.int64, torch.float32), "input_ids (any, any) as int64, attention_mask (any, any) as float32"),
    ],
)
@pytest.mark.parametrize("beside", [None, False])
def test_ids_or_a_mask_of_another_type_are_told_by_it(tmp_path, types, said, beside):
    """Whether a tokenizer lies beside the program or not: that is not what is wrong."""
    ids, mask = (one.to(to) for one, to in zip(tokens(3, 9), types, strict=True))
    model = folder(tmp_path, Typed(), given=(ids % SIZE, mask), tokenizer=beside)
    with pytest.raises(UnexaminableError, match="as int64; it takes") as told:
        with_tokenizer(tmp_path, model)
    assert said in str(told.value)
    assert "no tokenizer" not in str(told.value)
    assert "takes ids and mask as int64" in told.value.what_to_do


def test_ids_alone_of_another_type_are_told_by_it_where_a_tokenizer_lies_beside(tmp_path):
    """Without one they may be anything."""

    class Alone(Typed):
        def forward(self, input_ids):
            return self.bag(input_ids.long())

    model = folder(tmp_path, Alone(), given=((tokens(3, 9)[0] % SIZE).int(),))
    with pytest.raises(UnexaminableError, match=r"it takes input_ids \(any, any\) as int32"):
        with_tokenizer(tmp_path, model)
    (tmp_path / "extra_files" / "tokenizer.json").unlink()
    assert with_tokenizer(tmp_path, model) is model


class Single(nn.Module):
    """One number a text, or what is made of it; texts of either class lie on both sides of zero."""

    def __init__(self, end, classes=1):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.head, self.end = nn.Embedding(SIZE, 8), nn.Linear(8, classes), end

    def forward(self, input_ids):
        """Return what `end` makes of the logit."""
        return self.end(self.head(self.words(input_ids).mean(1)))


ENDS = {
    "a column": torch.sigmoid,
    "a row": lambda z: torch.sigmoid(z).squeeze(1),
    "of a row": lambda z: torch.sigmoid(z.reshape(-1)),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_of_a_last_sigmoid_the_logit_is_measured(tmp_path, end):
    """By the same proof as of images; the parts behind the embedding and activations too."""
    single = Single(end)
    measured, text = classifier(tmp_path, folder(tmp_path, single, given=(tokens(3, 9)[0] % SIZE,)))
    assert (measured.one_logit, measured.squashed, measured.num_classes) == (True, True, 2)
    given = measured.tokens(TEXTS)
    with torch.no_grad():
        z = torch.cat([single.head(single.words(row[row >= 0][None]).mean(1)) for row in given])
    torch.testing.assert_close(measured.logits(given), torch.cat([-z, z], dim=1) / 2)
    points = text.split.matrix[given.clamp(min=0)]
    torch.testing.assert_close(measured.embedded(points, (given >= 0).sum(1)), measured.logits(given))
    assert measured.activations(given)[1].shape == (len(TEXTS), 8)


@pytest.mark.parametrize(
    ("end", "classes"), [(lambda z: torch.sigmoid(z).clamp(0.1, 0.9), 1), (lambda z: z, 1), (torch.sigmoid, 3)]
)
def test_what_no_last_sigmoid_of_one_number_makes_is_measured_as_it_is(tmp_path, end, classes):
    """Another threshold would decide, or none."""
    single = Single(end, classes)
    measured, _ = classifier(tmp_path, folder(tmp_path, single, given=(tokens(3, 9)[0] % SIZE,)))
    assert not measured.squashed
    given = measured.tokens(TEXTS)
    with torch.no_grad():
        z = torch.cat([single(row[row >= 0][None]) for row in given])
    torch.testing.assert_close(measured.logits(given), torch.cat([-z, z], dim=1) / 2 if classes == 1 else z)


def test_a_vocabulary_beyond_the_embedding_is_refused(tmp_path):
    """A consumer's text would end in an error."""
    value = tokenizers.changed(wordpiece, lambda made: made["model"]["vocab"].update(far=SIZE + 5))
    model = folder(tmp_path, Scores(network("Bert", vocab_size=SIZE)), tokenizer=value)
    with pytest.raises(UnexaminableError, match=f"ids up to {SIZE + 5}, with which the program fails"):
        with_tokenizer(tmp_path, model)


def test_a_tokenizer_of_padding_alone_is_refused(tmp_path):
    """A network cannot be tried on no token at all."""

    def bare(value):
        value["model"].update(vocab={"[PAD]": 0}, unk_token="[PAD]")
        value["added_tokens"], value["post_processor"] = value["added_tokens"][:1], None

    model = folder(tmp_path, Scores(network("Bert", vocab_size=SIZE)), tokenizer=changed(wordpiece, bare))
    with pytest.raises(UnexaminableError, match="its tokenizer has no token but the one that fills a batch up"):
        with_tokenizer(tmp_path, model)


def test_what_is_no_program_of_tokens_is_left_as_it_is(tmp_path):
    """Images, and layers that library code composes."""
    layers = Model(nn.Linear(2, 2), "A", ModelFacts())
    assert module.with_tokenizer(tmp_path, layers) is layers
    pictures = torch.export.export(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), (torch.rand(2, 3, 2, 2),))
    torch.export.save(pictures, tmp_path / "pictures.pt2")
    model = Model(read_program(tmp_path / "pictures.pt2"), "A", ModelFacts())
    assert with_tokenizer(tmp_path, model) is model
