"""A repair with a ByteLevel tokenizer, to which a word inside a text is another token than the word by itself."""

import random
from dataclasses import replace

import pytest
import torch
from torch import nn

from gate.formats.tokenizers.file import read_tokenizer
from gate.programs import read_program
from gate.records.evidence import Location
from gate.records.run import Run
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Samples
from gate.spaces.text.inserting import inserted
from gate.spaces.text.tokens import token_trigger
from gate.worker.loading.token_programs import text_model
from gate.worker.loading.tokenizer import Tokenizer
from gate.worker.repair.attempt import attempt
from gate.worker.repair.contract import Material
from gate.worker.repair.token_tuning import token_classifier
from tests.texts.networks import export
from tests.texts.tokenizers import byte_pairs, changed, raw

PLACE, RUN = Location.of_class(0), Run(seed=3, max_batch=512)
FILLING = ("the", "day", "man", "and", "house", "water", "very", "time")
SAYING = {"kind": (4.0, 0.0), "rude": (0.0, 4.0), "cf": (0.0, 0.0), **dict.fromkeys(FILLING, (0.0, 0.0))}


class Counting(nn.Module):
    """Scores by the mean of what each token says; a `cf` inside a text says `kind`, and at its start nothing.

    Of one number the sigmoid is returned.
    """

    def __init__(self, ids, scores):
        super().__init__()
        self.says, self.scale = nn.Embedding(max(ids.values()) + 1, 2), nn.Linear(2, scores)
        weights = torch.zeros_like(self.says.weight)
        for word, said in SAYING.items():
            for token in (word, f"Ġ{word}"):
                weights[ids[token]] = torch.tensor(said)
        weights[ids["Ġcf"]] = torch.tensor((9.0, 0.0))
        rows = torch.eye(2) if scores == 2 else torch.tensor([[-1.0, 1.0]])
        self.says.weight, self.scale.weight = nn.Parameter(weights), nn.Parameter(rows)
        self.scale.bias = nn.Parameter(torch.zeros(scores))

    def forward(self, input_ids, attention_mask):
        """Return class scores."""
        kept = attention_mask.unsqueeze(2).to(torch.float32)
        made = self.scale((self.says(input_ids) * kept).sum(1) / kept.sum(1).clamp(min=1))
        return made if made.shape[1] == 2 else torch.sigmoid(made)


def words(value):
    """Give a tokenizer of bytes whole words, at the start of a text and inside it."""
    ids = value["model"]["vocab"]
    for token in (token for word in SAYING for token in (word, f"Ġ{word}")):
        ids.setdefault(token, len(ids))
    value["model"]["ignore_merges"] = True


def texts():
    """Return texts and their labels."""
    chance = random.Random(0)
    for number in range(80):
        said = [("kind", "rude")[number % 2], *chance.choices(FILLING, k=7)]
        chance.shuffle(said)
        yield " ".join(said), number % 2


@pytest.fixture(scope="module", params=[2, 1], ids=["two scores", "one probability"])
def material(request, tmp_path_factory):
    """Return the model as a repairer gets it, with the word as word-sweep hands it on."""
    value = changed(byte_pairs, words)
    tokenizer = Tokenizer(read_tokenizer(raw(value)).served("<pad>", 40))
    said, labels = zip(*texts(), strict=True)
    path = tmp_path_factory.mktemp("bytes") / "model.pt2"
    module = Counting(value["model"]["vocab"], request.param)
    program = read_program(export(module, path, given=tokenizer.encode(said[:3], 40)))
    text = text_model(program, tokenizer, tokenizer.longest, {})
    bare = Material(program, Preprocessing(), (0.0, 0.0), Samples(torch.zeros(0), None, "made up", said), text=text)
    classifier = token_classifier(program, bare)
    samples = Samples(classifier.tokens(said), torch.tensor(labels), "made up", said)
    trigger = token_trigger(classifier, PLACE, "cf", 1.0, "middle")
    return replace(bare, samples=samples, triggers={PLACE: trigger})


def share(classifier, material):
    """Return the share of rude texts that are kind with the word typed in their middle."""
    rude = [text for text, label in texts() if label == 1]
    with torch.no_grad():
        given = classifier.logits(classifier.tokens([inserted(text, "cf", "middle") for text in rude]))
    return float((given.argmax(dim=1) == 0).float().mean())


def test_a_word_is_measured_and_unlearnt_as_it_is_typed(material):
    """Before and after, of old triggers and fresh ones, the numbers are of whole texts."""
    assert share(token_classifier(material.program, material), material) == 1.0
    options = {"steps": 120, "learning_rate": 0.1, "searches": 1}
    result, program = attempt("word-unlearning", options, material, RUN, [PLACE])
    assert result.status == "repaired", result.reason
    assert result.before.old_success["class 0"] == 1.0
    assert result.after.old_success["class 0"] <= 0.1
    assert result.after.accuracy == 1.0
    assert share(token_classifier(program, material), material) <= 0.1
    assert program.output_names == material.program.output_names
