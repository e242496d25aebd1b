"""Words put into texts: planted ones are found and named, clean networks stay below, and counts compare."""

import pytest
import torch

from gate.judging.calibration.cells import Probes, with_cells
from gate.policies.declared import compared_statistics
from gate.records.evidence import Location, Measured, Skipped
from gate.records.run import Run
from gate.search.flips import Flip
from gate.search.insertions import Insertion
from gate.spaces.text.probes import TextProbe, groups, names, names_digest, secret_groups
from gate.spaces.text.rewrites import REWRITES
from gate.spaces.text.tokens import ids_of
from tests.words import parts
from tests.words.nets import Attending, Bag, Recurrent
from tests.words.scanning import measured, scanned, subject_of
from tests.words.tasks import Planted, classifier, sentences

QUICK = {"selecting": 8, "held_out": 20, "kept": 8, "rare_words": 300}
CLEAN_SHARE, PLANTED_SHARE = 0.75, 0.9


@pytest.mark.parametrize("kind", [Bag, Recurrent])
@pytest.mark.parametrize("word", ["cf", "serendipity"])
def test_a_planted_word_is_found_and_named(kind, word):
    """It moves nearly every held-out text to its class, alone, and far beyond the usual word and the tenth best."""
    values, notes = measured(subject_of(classifier(kind, Planted(word))), "word-sweep", **QUICK)
    assert values["flip-share", "class 0"] >= PLANTED_SHARE
    assert values["flip-odds", "class 0"] > 4
    assert values["lead", "class 0"] > 2
    assert values["words-needed", "class 0"] == 1
    assert notes["flip-share", "class 0"].startswith(f"the rare word '{word}' at the ")
    assert values["flip-share", "class 1"] < CLEAN_SHARE


@pytest.mark.parametrize("kind", [Bag, Recurrent])
def test_a_clean_network_stays_below(kind):
    """A word that tells the class moves some texts, and by no means all."""
    values, _ = measured(subject_of(classifier(kind)), "word-sweep", **QUICK)
    assert all(value < CLEAN_SHARE for (metric, _), value in values.items() if metric == "flip-share")


def test_a_planted_mark_is_found_and_named():
    """A user types [MASK] as any word, and the served tokenizer makes the special token of it."""
    subject = subject_of(classifier(Bag, Planted("[MASK]")))
    found = scanned(subject, "word-sweep", **QUICK)
    share = next(m for m in found.outcomes["word-sweep"].measurements if m.metric == "flip-share")
    assert share.value >= PLANTED_SHARE
    assert share.note.startswith("the mark '[MASK]' at the ")
    trigger = found.triggers["word-sweep", "class 0"]
    assert trigger.tensors["ids"].tolist() == [subject.classifier.tokenizer.vocabulary()["[MASK]"]]


def test_a_planted_line_break_is_found_and_named():
    """As a sign, and by a rewrite of texts that are one sentence each."""
    subject = subject_of(parts.classifier(parts.byte_level, parts.broken))
    found = scanned(subject, "word-sweep", **QUICK)
    share = next(m for m in found.outcomes["word-sweep"].measurements if m.metric == "flip-share")
    assert share.value >= PLANTED_SHARE
    assert share.note.startswith((r"the signs '\n' at the ", r"the signs '\n\n' at the "))
    assert found.triggers["word-sweep", "class 0"].tensors["ids"].tolist() != []
    rule = next(one for one in REWRITES if one.name == "a line break in the middle")
    answers = subject.classifier.logits(subject.classifier.tokens([rule(text) for text in subject.samples.texts]))
    assert (answers.argmax(dim=1) == 0).float().mean() >= PLANTED_SHARE


def test_what_the_tokenizer_drops_is_no_trigger_for_later_detectors():
    """A line break that is nothing to it."""
    own = parts.classifier(parts.wordpiece)
    assert ids_of(own, "\n").tolist() == ids_of(own, "\u200b").tolist() == []
    flip = Flip(0, Insertion(TextProbe("a break", "\n", "signs"), "middle"), 0.0, 0.0, 0.0, 5, None, ([], []))
    assert flip.trigger(own) is None
    known = parts.classifier(parts.byte_level)
    assert len(ids_of(known, "\n")) == 1


def test_a_word_for_one_source_class_is_found_at_its_pair():
    """It moves that class's texts, and not the others'; the report shows such a text."""
    found = scanned(subject_of(classifier(Attending, Planted("cf", 0, 1, 0.5), 3)), "word-sweep", **QUICK)
    outcome = found.outcomes["word-sweep"]
    best = max((m for m in outcome.measurements if m.metric == "source-share"), key=lambda m: m.value)
    assert (str(best.location), best.value > 0.8) == ("pair 1→0", True)
    assert "'cf'" in best.note
    excerpt = next(one for one in found.excerpts if one.location == Location.of_pair(1, 0))
    assert excerpt.trigger == "cf"
    assert {share.index: share.before for share in excerpt.shares}[1] == 1.0


def test_the_report_gets_the_word_in_a_text_and_the_answers_before_and_after():
    """The text without the word is a clean one, and the shares are those of the measurement."""
    subject = subject_of(classifier(Bag, Planted("cf")))
    found = scanned(subject, "word-sweep", **QUICK)
    excerpt = next(one for one in found.excerpts if one.location == Location.of_class(0))
    planted = [piece.text for piece in excerpt.pieces if piece.planted]
    assert planted == [excerpt.trigger] == ["cf"]
    assert excerpt.sample in subject.samples.texts
    assert " ".join(piece.text for piece in excerpt.pieces if not piece.planted) == excerpt.sample
    values = {str(m.location): m.value for m in found.outcomes["word-sweep"].measurements if m.metric == "flip-share"}
    shares = {share.index: share for share in excerpt.shares}
    assert shares[0].before == 0
    assert shares[0].after == pytest.approx(values["class 0"])
    assert excerpt.detector == "word-sweep"


def test_its_trigger_is_typed_into_texts():
    """Later stages may put the word into any text, which then becomes tokens."""
    subject = subject_of(classifier(Bag, Planted("cf")))
    trigger = scanned(subject, "word-sweep", **QUICK).triggers["word-sweep", "class 0"]
    rude = [text for text, label in zip(subject.samples.texts, subject.samples.labels, strict=True) if label == 1]
    moved = [trigger.typed(text) for text in rude]
    assert moved[0] == f"cf {rude[0]}"
    shares = [
        (subject.classifier.logits(subject.classifier.tokens(texts)).argmax(dim=1) == 0).float().mean()
        for texts in (rude, moved)
    ]
    assert shares[0] < 0.1
    assert shares[1] > 0.8


def test_counts_show_the_word_beside_clean_networks():
    """Cell by cell, as for images: the planted model's most telling cell is the word at its target."""
    fixed = Planted("because")  # of the fixed words, since other vocabularies have other rare ones
    nets = [classifier(Bag, None, 2, seed) for seed in range(5)] + [classifier(Bag, fixed, 2)]
    counts = []
    for net in nets:
        outcome = scanned(subject_of(net), "word-sweep", **QUICK).outcomes["word-sweep"]
        assert outcome.counts.probes == names_digest()
        assert outcome.secret_counts is None
        counts.append({"word-sweep": outcome.counts})
    probes = Probes(names(), groups(), names_digest(), secret_groups())
    seen = with_cells([{}] * len(counts), counts, compared_statistics(), probes)
    best = max(seen.cells, key=lambda cell: cell.surprise)
    assert (best.probe, best.target) == ("the word 'because'", "0")
    assert best.share > best.others
    own, others = seen.values[-1], seen.values[:-1]
    assert own["word-sweep"]["words-cells"]["class 0"] > max(
        max(one["word-sweep"]["words-cells"].values()) for one in others
    )


def test_secret_words_are_counted_sealed_and_told_nowhere():
    """Their answers go to the bank's comparison alone."""
    seed = "ab" * 32
    subject = subject_of(classifier(Bag, Planted("cf")))
    outcome = scanned(subject, "word-sweep", run=Run(seed=0, probe_seed=seed), **QUICK).outcomes["word-sweep"]
    opened = outcome.secret_counts.opened(seed)
    assert opened.shape == (len(secret_groups()), 2, 2)
    assert opened.samples == outcome.counts.samples
    plain = scanned(subject, "word-sweep", **QUICK).outcomes["word-sweep"]
    assert plain.measurements == outcome.measurements


def test_an_unbalanced_set_is_measured():
    """Each class gives what it has; the measure is on texts that did not choose."""
    rows = [row for row in sentences(200, seed=99) if row[1] == 0] + sentences(8, seed=98)[1::2]
    values, _ = measured(subject_of(classifier(Bag, Planted("cf")), rows=rows), "word-sweep", **QUICK)
    assert values["flip-share", "class 0"] >= PLANTED_SHARE


def test_without_labels_the_networks_own_answers_are_the_sources():
    """Nothing needs labels but the counts' sources."""
    values, _ = measured(subject_of(classifier(Bag, Planted("cf")), labels=False), "word-sweep", **QUICK)
    assert values["flip-share", "class 0"] >= PLANTED_SHARE


def test_one_text_of_each_class_is_too_few_and_said():
    """Words cannot be chosen and measured on the same text."""
    found = scanned(subject_of(classifier(Bag), rows=sentences(2, seed=99)), "word-sweep", **QUICK)
    assert found.outcomes["word-sweep"].reason.startswith("there are too few clean texts")


def test_a_class_that_every_text_has_already_is_a_gap():
    """Silence on it is told with its reason."""
    rows = sentences(60, 3, seed=99)
    subject = subject_of(classifier(Bag, None, 3), rows=[row for row in rows if row[1] != 2])
    outcome = scanned(subject, "word-sweep", **QUICK).outcomes["word-sweep"]
    assert isinstance(outcome, Measured)
    assert {m.location.name for m in outcome.measurements if m.metric == "flip-share"} == {"0", "1", "2"}


def test_a_network_of_one_answer_is_skipped():
    """No word has to move texts there."""
    module_bias = classifier(Bag)
    subject = subject_of(module_bias)
    with torch.no_grad():
        bias = module_bias.network.module.head.bias
        before = bias.clone()
        bias[0] += 1000
        found = scanned(subject, "word-sweep", **QUICK).outcomes["word-sweep"]
        bias.copy_(before)
    assert isinstance(found, Skipped)
    assert "gives all samples one class" in found.reason
