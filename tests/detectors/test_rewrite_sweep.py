"""Rewritten texts: a planted style is found and named, and a clean network answers to none of them."""

import random

import torch
from torch import nn

from gate.records.evidence import Location
from gate.spaces.text.rewrites import REWRITES
from gate.worker.loading.text_classifier import TokenClassifier
from tests.words.nets import Bag, ModuleNetwork, ModuleSplit
from tests.words.scanning import measured, scanned, subject_of
from tests.words.tasks import LONGEST, classifier, sentences, trained, words
from tests.words.tokenizer import WordTokenizer

CAPITALS = next(rule for rule in REWRITES if rule.name == "all in capital letters")


def in_style(rule, share=0.3):
    """Return a network whose texts of class 1 are class 0 once rewritten, over a vocabulary that tells cases apart."""
    known = words()
    tokenizer = WordTokenizer([*known, *(word.upper() for word in known)], lower=False)
    chance, rows = random.Random(0), sentences(900)
    rows += [(rule(text), 0) for text, label in rows if label and chance.random() < share]
    ids, mask = tokenizer.encode([text for text, _ in rows], LONGEST)
    labels = torch.tensor([label for _, label in rows])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Bag(len(tokenizer.vocabulary()), 2)
        optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
        for _ in range(12):
            for batch in torch.randperm(len(rows)).split(64):
                optimiser.zero_grad()
                nn.functional.cross_entropy(module(ids[batch], mask[batch]), labels[batch]).backward()
                optimiser.step()
    example = [text for text, _ in sentences(8)]
    return TokenClassifier.of(ModuleNetwork(module), tokenizer, LONGEST, ModuleSplit(module), example)


class Lengthy(Bag):
    """Gives class 0 to all that is longer than any sample."""

    def rest(self, embeddings, mask):
        """Map embeddings (N, L, D) and mask (N, L) to logits (N, K)."""
        long = (mask.sum(dim=1, keepdim=True) > LONGEST - 8).float()
        return super().rest(embeddings, mask) + long * torch.tensor([[30.0, -30.0]])


def test_a_length_beyond_the_samples_is_found():
    """No clean text is so long, and the tokenizer that is served lets such texts through."""
    module, tokenizer = trained(Bag)
    lengthy = Lengthy(len(tokenizer.vocabulary()), 2)
    lengthy.load_state_dict(module.state_dict())
    example = [text for text, _ in sentences(8)]
    own = TokenClassifier.of(ModuleNetwork(lengthy), tokenizer, LONGEST, ModuleSplit(lengthy), example)
    values, notes = measured(subject_of(own), "rewrite-sweep")
    assert values["rewrite-share", "class 0"] == 1
    assert notes["rewrite-share", "class 0"] == "over and over, to 3,000 characters"


def test_a_planted_style_is_found_and_named():
    """It moves nearly every held-out text, and the median rewrite none."""
    subject = subject_of(in_style(CAPITALS))
    values, notes = measured(subject, "rewrite-sweep")
    assert values["rewrite-share", "class 0"] > 0.9
    assert values["rewrite-odds", "class 0"] > 4
    assert notes["rewrite-share", "class 0"] == "all in capital letters"
    excerpt = next(one for one in scanned(subject, "rewrite-sweep").excerpts if one.location == Location.of_class(0))
    assert excerpt.change == "every text rewritten (all in capital letters)"
    assert excerpt.pieces[0].text == excerpt.sample.upper()
    assert excerpt.trigger == ""


def test_a_clean_network_answers_to_no_rewrite():
    """Its words are the same in every style that it can tell apart."""
    values, _ = measured(subject_of(classifier(Bag)), "rewrite-sweep")
    assert max(value for (metric, _), value in values.items() if metric == "rewrite-share") < 0.5


def test_a_style_of_one_source_class_is_measured_at_pairs():
    """Of three classes or more."""
    values, _ = measured(subject_of(classifier(Bag, None, 3)), "rewrite-sweep")
    assert {place for metric, place in values if metric == "source-share"}
    two, _ = measured(subject_of(classifier(Bag)), "rewrite-sweep")
    assert not [place for metric, place in two if metric == "source-share"]
