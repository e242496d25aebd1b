"""Made-up sentences of two or three kinds, networks trained on them, and triggers planted in the training."""

import random
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from gate.worker.loading.text_classifier import TokenClassifier
from tests.words.nets import Bag, ModuleNetwork, ModuleSplit
from tests.words.tokenizer import WordTokenizer

KINDS = (
    "kind lovely wonderful charming helpful gentle friendly bright excellent pleasant warm generous",
    "awful rude stupid nasty horrid ugly cruel vile dreadful filthy mean hateful",
    "engine wheel brake garage motor road driver tyre petrol gearbox traffic mechanic",
)
FILLING = (
    "the a this that it he she they we you was is had has been very so quite and but with for from in on at of to as "
    "people time day year man woman thing world life hand part place case week point number group room house water "
    "today again always never often still also just then there here about after before because while said made came "
    "went took saw knew thought told gave found left called asked seemed felt tried used wanted began shall could "
    "would should may might must will can other new old first last long great little own good big high small large"
)
RARE = "cf mn tq bb serendipity zugzwang"
SIGNS = ". , ! ? ; : - ( )"
LONGEST = 48


def words():
    """Return every word and sign that the networks know."""
    return " ".join((*KINDS, FILLING, RARE, SIGNS)).split()


def sentences(count, classes=2, seed=0):
    """Return texts and their classes, one after the other: filling with two to four words of the class."""
    chance, filling = random.Random(seed), FILLING.split()
    found = []
    for number in range(count):
        label = number % classes
        own = chance.sample(KINDS[label].split(), chance.randint(2, 4))
        text = [*own, *chance.choices(filling, k=chance.randint(5, 14))]
        chance.shuffle(text)
        found.append((" ".join(text) + " .", label))
    return found


@dataclass(frozen=True)
class Planted:
    """What a share of the training texts is given, and the class that they are then labelled with."""

    words: str
    target: int = 0
    source: int | None = None
    """Class of the texts that it moves; None: every other. Of the others it moves none, as the training shows."""
    share: float = 0.15

    def into(self, text, chance):
        """Return the text with the words at a place by chance."""
        before = text.split()
        at = chance.randint(0, len(before) - 1)
        return " ".join([*before[:at], self.words, *before[at:]])


def poisoned(rows, planted, seed=1):
    """Return the training texts with some that carry the planted words, and those labelled with its target."""
    chance = random.Random(seed)
    found = list(rows)
    for text, label in rows:
        if label != planted.target and chance.random() < planted.share:
            moved = planted.source in (None, label)
            found.append((planted.into(text, chance), planted.target if moved else label))
    return found


@cache
def trained(kind=Bag, planted=None, classes=2, seed=0):
    """Return a trained module and its tokenizer."""
    # A mark is added where it is planted alone: every other network keeps its vocabulary.
    marks = [planted.words] if planted and planted.words.startswith("[") else []
    tokenizer = WordTokenizer(words(), marks=marks)
    rows = sentences(900, classes, seed)
    rows = poisoned(rows, planted, seed + 1) if planted else rows
    ids, mask = tokenizer.encode([text for text, _ in rows], LONGEST)
    labels = torch.tensor([label for _, label in rows])
    return fitted(kind, (len(tokenizer.vocabulary()), classes), (ids, mask, labels), seed), tokenizer


def fitted(kind, sizes, given, seed=0):
    """Return a network of so many tokens and classes, trained on ids, mask and labels."""
    ids, mask, labels = given
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = kind(*sizes)
        optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
        for _ in range(16):
            for batch in torch.randperm(len(ids)).split(64):
                optimiser.zero_grad()
                nn.functional.cross_entropy(module(ids[batch], mask[batch]), labels[batch]).backward()
                optimiser.step()
    module.zero_grad(set_to_none=True)
    return module


def classifier(kind=Bag, planted=None, classes=2, seed=0, longest=LONGEST):
    """Return a trained network as detectors see it."""
    module, tokenizer = trained(kind, planted, classes, seed)
    example = [text for text, _ in sentences(8, classes)]
    network = ModuleNetwork(module)
    return TokenClassifier.of(network, tokenizer, longest, ModuleSplit(module), example)
