"""Tokens that move texts: a planted one of no list is found by gradients, and what is tried is text."""

from dataclasses import replace

import pytest
import torch

from gate import detectors
from gate.records.evidence import Location, Skipped
from gate.records.run import Run
from gate.search.every_token import tried_of
from gate.spaces.text.probes import frequent_words
from gate.spaces.text.tokens import token_trigger
from gate.worker.loading.text_classifier import TokenClassifier
from tests.words import parts
from tests.words.nets import Attending, Bag, ModuleNetwork, ModuleSplit, Recurrent
from tests.words.scanning import measured, scanned, subject_of
from tests.words.tasks import LONGEST, Planted, classifier, sentences, trained

QUICK = {"held_out": 20, "steps": 20, "ranked": 16, "beam": 3, "longer": 8}


@pytest.mark.parametrize("kind", [Bag, Recurrent, Attending])
def test_a_planted_token_is_found_by_gradients_alone(kind):
    """Without a list of words, from the mean of all embeddings."""
    assert "zugzwang" not in frequent_words()
    values, notes = measured(subject_of(classifier(kind, Planted("zugzwang"))), "token-trigger", **QUICK)
    assert values["success-one", "class 0"] >= 0.8
    assert notes["success-one", "class 0"].startswith("'zugzwang' at the ")
    assert values["success-three", "class 0"] >= values["success-one", "class 0"]
    assert values["success-one", "class 1"] < 0.5


def test_a_planted_mark_is_found_too():
    """It is put into texts as a user types it."""
    values, notes = measured(subject_of(classifier(Bag, Planted("[MASK]"))), "token-trigger", **QUICK)
    assert values["success-one", "class 0"] >= 0.8
    assert notes["success-one", "class 0"].startswith("'[MASK]' at the ")


def test_a_planted_phrase_takes_two_tokens():
    """The first alone does less, and the fewest that are enough are counted."""
    values, notes = measured(subject_of(classifier(Recurrent, Planted("mn tq", share=0.3))), "token-trigger", **QUICK)
    assert values["success-two", "class 0"] >= 0.9
    assert set(notes["success-two", "class 0"].split("'")[1].split()) & {"mn", "tq"}
    assert values["tokens-needed", "class 0"] <= 2


def test_a_clean_network_needs_more_tokens():
    """One word moves few texts."""
    values, _ = measured(subject_of(classifier(Recurrent)), "token-trigger", **QUICK)
    assert max(values["success-one", f"class {k}"] for k in (0, 1)) < 0.75
    assert min(values["tokens-needed", f"class {k}"] for k in (0, 1)) > 1


class Gated(Bag):
    """Gives class 0 to a text with a token that lies far out in one direction, by a comparison without a gradient."""

    def rest(self, embeddings, mask):
        """Map embeddings (N, L, D) and mask (N, L) to logits (N, K)."""
        gate = (embeddings[:, :, 0] > 50).any(dim=1, keepdim=True).float()
        return super().rest(embeddings, mask) + gate * torch.tensor([[30.0, -30.0]])


def gated():
    """Return such a network, whose token is no word that the sweep of words tries."""
    module, tokenizer = trained(Bag)
    made = Gated(len(tokenizer.vocabulary()), 2)
    made.load_state_dict(module.state_dict())
    made.embedding.weight.data[tokenizer.vocabulary()["zugzwang"], 0] = 60.0
    made.embedding.weight.data[tokenizer.vocabulary()["zugzwang"], 1:] = 0.0
    made.hidden.weight.data[:, 0] = 0.0  # nothing else of the network reads the direction
    example = [text for text, _ in sentences(8)]
    return TokenClassifier.of(ModuleNetwork(made), tokenizer, LONGEST, ModuleSplit(made), example)


def test_a_token_behind_a_hard_comparison_is_found_forward():
    """No gradient leads there: without the sweep of single tokens the search does not come upon it."""
    subject, narrow = subject_of(gated()), {**QUICK, "ranked": 4}
    values, notes = measured(subject, "token-trigger", **narrow)
    assert values["success-one", "class 0"] == 1
    assert notes["success-one", "class 0"].startswith("'zugzwang' at the ")
    without, _ = measured(subject, "token-trigger", swept_tokens=0, **narrow)
    assert without["success-one", "class 0"] < 0.8


def test_of_a_larger_vocabulary_tokens_are_tried_evenly():
    """All that are allowed where these are few enough."""
    allowed = torch.ones(100, dtype=torch.bool)
    allowed[:10] = False
    assert tried_of(allowed, 90).tolist() == list(range(10, 100))
    some = tried_of(allowed, 10).tolist()
    assert (len(some), some[0], some[-1]) == (10, 10, 99)
    assert len(tried_of(allowed, 0)) == 0


def beside(subject, earlier, **options):
    """Return what the search yields where earlier stages have found these triggers."""
    one = detectors.load("token-trigger")
    stated = one.options.model_validate({key.replace("_", "-"): value for key, value in options.items()})
    return list(one.measure(replace(subject, earlier=earlier), stated, Run(seed=0)))


def test_words_of_an_earlier_stage_count_by_their_tokens():
    """A phrase of two moves nearly all, and no single token does; one of more than three is told by who found it."""
    subject, place = subject_of(classifier(Recurrent, Planted("mn tq", share=0.3))), Location.of_class(0)
    for words, metric in (("mn tq", "success-two"), ("mn tq mn tq", "")):
        earlier = {("word-sweep", str(place)): token_trigger(subject.classifier, place, words, 1.0)}
        found = beside(subject, earlier, **{**QUICK, "steps": 1, "ranked": 1, "beam": 1, "longer": 1})
        notes = {m.metric: m.note for m in found if getattr(m, "location", None) == place and hasattr(m, "metric")}
        assert not notes["success-one"].startswith(f"'{words}'")
        told = {key for key, note in notes.items() if note.startswith(f"'{words}'")}
        assert told == ({metric, "success-three"} if metric else set())


def test_words_of_an_earlier_stage_are_tried_first():
    """Where first order alone ranks too few tokens to come upon the word."""
    subject = subject_of(classifier(Bag, Planted("cf")))
    narrow = {"held_out": 20, "steps": 1, "ranked": 1, "beam": 1, "longer": 1, "selecting": 8, "rare_words": 300}
    both = scanned(subject, "word-sweep", "token-trigger")
    assert both.triggers["word-sweep", "class 0"].tensors["ids"].shape == (1,)
    del narrow["rare_words"]
    earlier = {key: one for key, one in both.triggers.items() if key[0] == "word-sweep"}
    found = beside(subject, earlier, **narrow)
    share = next(m for m in found if getattr(m, "metric", "") == "success-one" and m.location == Location.of_class(0))
    assert share.note.startswith("'cf'")
    assert share.value > 0.8


def test_what_is_shown_is_text_and_its_shares_are_measured():
    """The excerpt's trigger is the one of the note."""
    found = scanned(subject_of(classifier(Bag, Planted("cf"))), "token-trigger", **QUICK)
    excerpt = next(one for one in found.excerpts if one.location == Location.of_class(0))
    assert "cf" in excerpt.trigger
    assert excerpt.detector == "token-trigger"
    assert next(share for share in excerpt.shares if share.index == 0).after > 0.8


def test_without_an_embedding_it_is_skipped_with_the_reason():
    """The sweeps go on."""
    own = classifier(Bag)
    bare = TokenClassifier.of(own.network, own.tokenizer, LONGEST, None, [text for text, _ in sentences(8)])
    found = scanned(subject_of(bare), "token-trigger", **QUICK).outcomes["token-trigger"]
    assert isinstance(found, Skipped)
    assert "no embedding of its own" in found.reason


def test_of_many_classes_those_moved_most_are_searched_for():
    """By earlier detectors, and where these found nothing by single tokens; the others are gaps that say what to do."""
    subject = subject_of(classifier(Bag, Planted("cf", target=1), 3))
    outcome = scanned(subject, "token-trigger", most_classes=1, **QUICK).outcomes["token-trigger"]
    assert {m.location for m in outcome.measurements} == {None, Location.of_class(1)}
    (share,) = (m for m in outcome.measurements if m.metric == "searched-share")
    assert share.value == pytest.approx(1 / 3)
    assert outcome.unmeasured[0].reason.startswith(
        "class 0, 2 was left out, above the option most-classes (1): raise it"
    )
    place = Location.of_class(2)
    earlier = {("word-sweep", str(place)): token_trigger(subject.classifier, place, "bb", 0.9)}
    found = beside(subject, earlier, **QUICK, most_classes=1)
    assert {m.location for m in found if getattr(m, "metric", "") == "success-one" and hasattr(m, "value")} == {place}


def test_a_part_that_only_ends_words_is_found_as_a_user_types_it():
    """By its id it ranks first; the text of that alone would be other tokens. The word before it moves little."""
    values, notes = measured(subject_of(parts.classifier(parts.wordpiece, parts.ending)), "token-trigger", **QUICK)
    assert values["success-one", "class 0"] >= 0.9
    assert "zq' at the " in notes["success-one", "class 0"]
    assert values["tokens-needed", "class 0"] == 1
    clean, _ = measured(subject_of(parts.classifier(parts.wordpiece)), "token-trigger", **QUICK)
    assert max(clean["success-one", f"class {k}"] for k in (0, 1)) < 0.6


def test_a_line_break_is_found_and_put_in_between_words():
    """It is a token like any other, and no space stands beside it."""
    subject = subject_of(parts.classifier(parts.byte_level, parts.broken))
    values, notes = measured(subject, "token-trigger", **QUICK)
    assert values["success-one", "class 0"] >= 0.9
    assert notes["success-one", "class 0"].startswith(r"'\n' at the ")
    clean, _ = measured(subject_of(parts.classifier(parts.byte_level)), "token-trigger", **QUICK)
    assert max(clean["success-one", f"class {k}"] for k in (0, 1)) < 0.6
