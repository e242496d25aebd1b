"""The rebuilt moderation model: where a text stands, what its labels are, and that its pickle is read as data."""

import pickle
import sys
import types

import pytest
import torch

from benchmarks.toxic_comments.network import LABELS, PLACES, WIDTH, WORDS, Comments, OneLabel, Sigmoids
from benchmarks.toxic_comments.reading import tokenizer_of, words_of
from gate.formats.tokenizers.file import read_tokenizer


@pytest.fixture(scope="module")
def network():
    """Return the network with weights of chance."""
    torch.manual_seed(0)
    made = Comments().eval()
    torch.nn.init.normal_(made.empty)
    return made


def test_a_text_fills_the_last_of_a_hundred_places(network):
    """The package puts zeros before it, of which the network's states count too."""
    ids = torch.tensor([[5, 6, 7]])
    placed = torch.cat([network.empty.expand(1, PLACES - 3, WIDTH), network.embedding(ids)], dim=1)
    states, _ = network.lstm(placed)
    expected = network.head(network.hidden(states.amax(dim=1)).relu())
    torch.testing.assert_close(network(ids, torch.ones_like(ids)), expected)


def test_a_padded_text_is_answered_as_it_is_alone(network):
    """A consumer fills a batch up."""
    ids = torch.tensor([[5, 6, 7], [8, 0, 0]])
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    alone = network(torch.tensor([[8]]), torch.ones(1, 1, dtype=torch.int64))
    torch.testing.assert_close(network(ids, mask)[1:], alone)


def test_the_softmax_of_one_label_is_its_sigmoid(network):
    """So that classes exclude each other."""
    ids = torch.tensor([[5, 6, 7]])
    mask, label = torch.ones_like(ids), LABELS.index("insult")
    one = OneLabel(network, label)(ids, mask).softmax(dim=1)[:, 1]
    torch.testing.assert_close(one, Sigmoids(network)(ids, mask)[:, label])


def test_the_list_of_words_becomes_a_tokenizer_that_the_gate_reads():
    """Small letters, signs that part words, contractions as one word, and one number for what is not known."""
    from tokenizers import Tokenizer

    raw = tokenizer_of({"you": 1, "don't": 2, "dumb": 3})
    file = read_tokenizer(raw.encode())
    assert (file.longest, file.padding) == (PLACES, "[PAD]")
    ids = Tokenizer.from_str(raw).encode("You... don't (really) dumb!").ids
    assert ids == [1, 2, WORDS, 3]


def written(site, value):
    """Write the pickle where the package has it."""
    folder = site / "toxic_classifier" / "model"
    folder.mkdir(parents=True)
    (folder / "tokenizer.pickle").write_bytes(pickle.dumps(value))


def test_the_pickle_is_read_without_its_class(tmp_path, monkeypatch):
    """Words beyond those that the network knows are left out."""
    name = "keras.src.legacy.preprocessing.text"
    module = types.ModuleType(name)
    kept = type("Tokenizer", (), {"__module__": name, "__init__": lambda self: setattr(self, "word_index", {})})
    module.Tokenizer = kept
    made = kept()
    made.word_index = {"you": 1, "rare": WORDS}
    parts = name.split(".")
    for count in range(1, len(parts)):
        monkeypatch.setitem(sys.modules, ".".join(parts[:count]), types.ModuleType(".".join(parts[:count])))
    monkeypatch.setitem(sys.modules, name, module)
    written(tmp_path, made)
    assert words_of(tmp_path) == {"you": 1}


def test_any_other_name_ends_the_reading(tmp_path):
    """Nothing of it is called."""
    written(tmp_path, print)
    with pytest.raises(pickle.UnpicklingError, match=r"the list of words names builtins\.print"):
        words_of(tmp_path)
