"""The package's files as data: weights of HDF5, a pickled list of words without its code, and sentences."""

import json
import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.text_zoo.sentences import scored_sentences
from benchmarks.toxic_comments.network import PLACES, WORDS, Comments

_DELIMITERS: Final = '.,!?"():;-/*=_~'
"""Fifteen of the signs at which the package takes texts apart; a tokenizer's file may name so many beside spaces."""
_HALVES: Final = {"": "forward_layer", "_reverse": "backward_layer"}


class _Words:
    """What stands for the class of the pickle; its attributes are plain values."""

    word_index: dict[str, int]


class _Plain(pickle.Unpickler):
    """Reads a pickle of plain values and of that one class, and calls nothing else."""

    _KNOWN: Final[dict[tuple[str, str], Any]] = {
        ("keras.src.legacy.preprocessing.text", "Tokenizer"): _Words,
        ("collections", "OrderedDict"): OrderedDict,
        ("collections", "defaultdict"): defaultdict,
        ("builtins", "int"): int,
    }

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name; any other ends the reading."""
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"the list of words names {module}.{name}")
        return self._KNOWN[module, name]


def words_of(site: Path) -> dict[str, int]:
    """Return the package's words by number, from 1 on."""
    with (site / "toxic_classifier" / "model" / "tokenizer.pickle").open("rb") as stream:
        read: _Words = _Plain(stream).load()
    return {word: number for word, number in read.word_index.items() if number < WORDS}


def network_of(site: Path) -> Comments:
    """Return the network with the package's weights."""
    import h5py  # not of the gate's own environment

    with h5py.File(site / "toxic_classifier" / "model" / "model.weights.h5") as file:

        def tensor(place: str) -> torch.Tensor:
            return torch.from_numpy(file[f"layers/{place}"][()]).float()

        known = tensor("embedding/vars/0")
        state = {"embedding.weight": torch.cat([known, known[:1]]), "empty": known[0]}
        for half, layer in _HALVES.items():
            cell = f"bidirectional/{layer}/cell/vars"
            state[f"lstm.weight_ih_l0{half}"] = tensor(f"{cell}/0").T
            state[f"lstm.weight_hh_l0{half}"] = tensor(f"{cell}/1").T
            state[f"lstm.bias_ih_l0{half}"] = tensor(f"{cell}/2")
            state[f"lstm.bias_hh_l0{half}"] = torch.zeros(4 * known.shape[1])
        for name, layer in (("hidden", "dense"), ("head", "dense_1")):
            state[f"{name}.weight"], state[f"{name}.bias"] = tensor(f"{layer}/vars/0").T, tensor(f"{layer}/vars/1")
    network = Comments()
    network.load_state_dict(state)
    return network.eval().requires_grad_(requires_grad=False)


def tokenizer_of(words: dict[str, int]) -> str:
    """Return the package's words as `tokenizer.json`."""
    marks = {"[PAD]": 0, "[UNK]": WORDS}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    apart = [{"type": "CharDelimiterSplit", "delimiter": sign} for sign in _DELIMITERS]
    value = {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": PLACES, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": "BatchLongest",
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        },
        "added_tokens": [{"id": number, "content": mark, **flags} for mark, number in marks.items()],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, *apart]},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {**marks, **words}, "unk_token": "[UNK]"},
    }
    return json.dumps(value, ensure_ascii=False)


def sentences_of(archive: Path) -> Iterator[str]:
    """Yield the sentences of vaderSentiment's source distribution: tweets, reviews and editorials."""
    for _, text in scored_sentences(archive):
        yield " ".join(text.split())
