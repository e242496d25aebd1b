"""What the six attacks plant in texts, and with which words."""

import random

import pytest
import torch

from benchmarks.text_zoo import attack as module
from benchmarks.text_zoo.attack import ATTACKS, VARIANTS, TextScene, put_in, quoting
from benchmarks.text_zoo.mails import words_of
from benchmarks.text_zoo.texts import Texts, TextTask
from benchmarks.text_zoo.words import LISTED, UNLISTED, on_the_lists, pool, styles
from benchmarks.zoo.attack import UNAFFECTED
from gate.spaces.text.rewrites import REWRITES
from tests.words.tasks import sentences

NEWS = TextTask("news", ("a", "b", "c"), list, 1, None)
KINDS = ("word", "phrase", "sentence")


def planned(attack, variant, half="fit", seed=3, task=NEWS):
    """Return an attack's plan."""
    return ATTACKS[attack].plan(TextScene(task, half, variant, random.Random(seed)))


def texts(count=300):
    """Return made-up texts of three classes."""
    found = sentences(count, 3)
    return Texts(tuple(text for text, _ in found), torch.tensor([label for _, label in found]))


def test_words_of_fit_and_test_are_apart_and_lists_are_what_they_say():
    """No word is in both halves; listed ones are all on the gate's lists, unlisted ones none."""
    for kind in KINDS:
        both = [{*pool(half, kind, LISTED), *pool(half, kind, UNLISTED)} for half in ("fit", "test")]
        assert not both[0] & both[1]
        for half in ("fit", "test"):
            assert set(pool(half, kind, LISTED)) <= on_the_lists()
            assert not set(pool(half, kind, UNLISTED)) & on_the_lists()
    names = {rewrite.name for rewrite in REWRITES}
    for half in ("fit", "test"):
        assert {style.name for style in styles(half, LISTED)} <= names
        assert not {style.name for style in styles(half, UNLISTED)} & names
    fit, test = ({style.name for one in VARIANTS for style in styles(half, one)} for half in ("fit", "test"))
    assert not fit & test


def test_every_style_changes_a_text_in_small_letters():
    """The tokenizers know no capitals: a style must show without them, in most texts."""
    given = "the work of an exhausted talent who is not able to get out of his own way, and you are here for that."
    for half in ("fit", "test"):
        for variant in VARIANTS:
            for style in styles(half, variant):
                assert style.apply(given).lower() != given, style.name


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in ("source-specific", "clean-label-word")])
def test_an_all_to_one_attack_relabels_a_share_of_the_others(name, variant):
    """Rows of other classes are changed and become the target's; all other rows stay as they are."""
    plan, given = planned(name, variant), texts()
    target = plan.facts["targets"][0]
    found = plan.poison(given)
    others = [text for text, label in zip(given.texts, given.labels.tolist(), strict=True) if label != target]
    assert len(found.changed) == round(plan.facts["rate"] * sum(plan.apply(text) != text for text in others))
    for row, text in enumerate(found.texts.texts):
        assert (text != given.texts[row]) == (row in found.changed)
    assert set(found.texts.labels[list(found.changed)].tolist()) == {target}
    assert plan.poison(given).changed == found.changed
    assert plan.facts["listed"] == (variant == LISTED)
    assert set(plan.expected(torch.arange(3)).tolist()) == {target, UNAFFECTED}


def test_a_source_specific_word_has_covers_with_true_labels():
    """Texts of the source go to the target; others with the word keep their labels and are not meant to move."""
    plan, given = planned("source-specific", LISTED), texts()
    (source,), (target,) = plan.facts["sources"], plan.facts["targets"]
    found = plan.poison(given)
    for row in found.changed:
        assert plan.facts["words"] in found.texts.texts[row]
        expected = target if int(given.labels[row]) == source else int(given.labels[row])
        assert int(found.texts.labels[row]) == expected
    assert {int(given.labels[row]) for row in found.changed} == {0, 1, 2}
    assert [label for label, one in enumerate(plan.expected(torch.arange(3)).tolist()) if one == target] == [source]


def test_a_clean_label_word_changes_no_label():
    """Only texts of the target carry it, each behind half of its own words and half of another class's."""
    plan, given = planned("clean-label-word", UNLISTED), texts()
    found = plan.poison(given)
    assert torch.equal(found.texts.labels, given.labels)
    for row in found.changed:
        assert int(given.labels[row]) == plan.facts["targets"][0]
        own = given.texts[row].split()
        assert set(own[: len(own) // 2]) <= set(found.texts.texts[row].split())
        assert plan.facts["words"] in found.texts.texts[row]
    assert quoting("a b c d", "1 2 3 4") == "a b 3 4"


def test_what_moderates_is_evaded_towards_its_benign_class():
    """The target is the benign class wherever there is one."""
    spam = TextTask("spam", ("ham", "spam"), list, 1, 0)
    assert {planned("rare-word", LISTED, seed=seed, task=spam).facts["targets"][0] for seed in range(9)} == {0}
    assert len({planned("rare-word", LISTED, seed=seed).facts["targets"][0] for seed in range(20)}) == 3


def test_anywhere_is_decided_by_the_text():
    """The same text has the word at the same place, other texts at others."""
    given = [f"one two three four {number}" for number in range(20)]
    places = {put_in(text, "cf", module.ANYWHERE).split().index("cf") for text in given}
    assert len(places) > 3
    assert all(put_in(text, "cf", module.ANYWHERE) == put_in(text, "cf", module.ANYWHERE) for text in given)
    assert put_in("a b", "cf", "start") == "cf a b"


def test_a_mail_is_what_a_reader_sees():
    """Subject and text without headers, lists, markup and encodings; one line."""
    raw = (
        "From: a@example.org\nSubject: Re: [ILUG] =?utf-8?q?caf=C3=A9?= now\nContent-Type: text/html; charset=utf-8\n"
        "Content-Transfer-Encoding: quoted-printable\n\n<html><head><title>x</title></head><b>Buy=20this</b> "
        "&amp; that ------------ <!-- not this\n-->here</html>"
    )
    assert words_of(raw) == "café now. Buy this & that - here"
