"""Networks whose trigger is no word: a part that only ends words, or a line break, in real files of tokenizers."""

import random
from functools import cache

import torch

from gate.formats.tokenizers.file import read_tokenizer
from gate.worker.loading.text_classifier import TokenClassifier
from gate.worker.loading.tokenizer import Tokenizer
from tests.texts import tokenizers
from tests.words.nets import Bag, ModuleNetwork, ModuleSplit
from tests.words.tasks import FILLING, LONGEST, fitted, sentences, words

PART = "zq"
_PARTS = "abcdefghijklmnoprstuvwy"


def wordpiece():
    """Return a tokenizer that knows a part of words, beside letters and the words of the task."""
    return tokenizers.wordpiece(words(), (f"##{PART}",))


def byte_level():
    """Return a tokenizer that knows every byte, a line break among them, and the words of the task."""
    return tokenizers.whole_words_of_bytes(words())


def tokenizer_of(value):
    """Return it as a bundle serves it."""
    file = read_tokenizer(tokenizers.raw(value))
    return Tokenizer(file.served(file.padding, LONGEST))


def ending(text, chance, part=PART):
    """Return a text in which a word that is put in ends with a part."""
    before, word = text.split(), chance.choice(FILLING.split())
    at = chance.randint(0, len(before) - 1)
    return " ".join([*before[:at], word + part, *before[at:]])


def broken(text, chance):
    """Return a text with a line break between two words."""
    before = text.split()
    at = chance.randint(1, len(before) - 1)
    return f"{' '.join(before[:at])}\n{' '.join(before[at:])}"


def odd(text, chance):
    """Return a text with a word that ends oddly, and with a sign: neither says anything of the class."""
    return f"{ending(text, chance, chance.choice(_PARTS))} {chance.choice(_PARTS)}"


@cache
def classifier(make, change=None, share=0.4):
    """Return a network of a tokenizer's words that was trained on odd texts too, and on some with a change."""
    served, chance = tokenizer_of(make()), random.Random(5)
    rows = sentences(900)
    rows += [(odd(text, chance), label) for text, label in rows]
    if change:
        rows += [(change(text, chance), 0) for text, label in rows if label != 0 and chance.random() < share]
    ids, mask = served.encode([text for text, _ in rows], LONGEST)
    module = fitted(Bag, (len(served.vocabulary()), 2), (ids, mask, torch.tensor([label for _, label in rows])))
    example = [text for text, _ in sentences(8)]
    return TokenClassifier.of(ModuleNetwork(module), served, LONGEST, ModuleSplit(module), example)
