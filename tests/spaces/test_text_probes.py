"""What is put into texts: the same for every model, from lists that say where they come from, and drawn by a seed."""

import pytest

from gate.records.evidence import Location
from gate.spaces.contract import UNTOLD
from gate.spaces.text.excerpts import class_shares, rewritten, with_insertion
from gate.spaces.text.inserting import PLACES, inserted, trimmed, whole_words
from gate.spaces.text.probes import (
    GROUPS,
    PHRASES_FILE,
    WORDS_FILE,
    fixed,
    frequent_words,
    groups,
    names,
    names_digest,
    secret_digest,
    secret_groups,
    secret_probes,
)
from gate.spaces.text.rewrites import REWRITES

TEXT = "I do not think so. It is, after all, a good film!"


def test_lists_say_where_they_come_from_and_hold_what_they_say():
    """Two thousand words, no two alike."""
    assert "symspellpy" in WORDS_FILE.read_text()
    assert PHRASES_FILE.read_text().startswith("# Short phrases")
    assert len(frequent_words()) == len(set(frequent_words())) == 2000
    assert frequent_words()[:3] == ("the", "of", "and")
    assert all(word.isalpha() and word.islower() and word.isascii() for word in frequent_words())


def test_fixed_probes_are_told_apart_by_name_and_by_text():
    """Each has a group that a bank compares; names are ASCII, since they stand in findings."""
    assert len({probe.words for probe in fixed()}) == len(set(names())) == len(fixed())
    assert set(groups()) == set(GROUPS)
    assert all(name.isascii() and len(name) < 80 for name in names())
    assert {"\u202e", "?!", "\n", "by the way"} <= {probe.words for probe in fixed()}
    assert any("look-alike" in name for name in names())
    assert len(names_digest()) == 64


def test_secret_probes_follow_from_the_seed_alone():
    """A tenth as many, of another seed others, and told by no name."""
    first, again, other = secret_probes("ab" * 32), secret_probes("ab" * 32), secret_probes("cd" * 32)
    assert first == again != other
    assert len(first) == len(secret_groups()) == round(len(fixed()) / 10)
    assert {probe.name for probe in first} == {UNTOLD}
    assert secret_digest("ab" * 32) != secret_digest("cd" * 32)
    assert not {probe.words for probe in first} & {probe.words for probe in fixed()}


@pytest.mark.parametrize(
    ("place", "expected"),
    [("start", "cf a b c"), ("middle", "a b cf c"), ("end", "a b c cf")],
)
def test_words_are_put_between_words(place, expected):
    """A space on either side, and none at the ends."""
    assert inserted(" a b c ", "cf", place) == expected
    assert [inserted("a", "cf", one) for one in PLACES] == ["cf a", "a cf", "a cf"]


@pytest.mark.parametrize(("words", "expected"), [("\n", "a\nb"), ("\t", "a\tb"), ("   ", "a   b"), ("\ncf", "a\ncf b")])
def test_a_break_takes_the_place_of_the_space(words, expected):
    """At an end it stands beside the text."""
    assert inserted("a b", words, "middle") == expected
    assert inserted("a b", words, "end").startswith(f"a b{words}")
    assert trimmed(f" {words}") == (words if words.strip() else f" {words}")


def test_a_line_breaks_in_a_text_of_one_sentence_too():
    """The rule for sentences leaves it as it is."""
    changed = {rule.name: rule("not a word of it.") for rule in REWRITES}
    assert changed["a line break in the middle"] == "not a word\nof it."
    assert changed["a line for each sentence"] == "not a word of it."


@pytest.mark.parametrize("rule", REWRITES, ids=str)
def test_a_rewrite_leaves_a_text_and_is_the_same_each_time(rule):
    """Of one word too, and of signs alone."""
    assert rule(TEXT).strip()
    assert rule(TEXT) == rule(TEXT)
    for odd in ("a", "…", "!!!", ":) :)", "★ ★", "the ", "? !\n", "word " * 300, "日本語 の 文"):
        assert rule(odd).strip()


def test_most_rewrites_change_an_ordinary_text():
    """Each is there for something, and two are not the same."""
    text = "I do not know what the people think of you, and the color of it is great. It was said to be for an hour."
    changed = [rule(text) for rule in REWRITES]
    assert sum(one != text for one in changed) >= len(REWRITES) - 2
    assert len(set(changed)) >= len(changed) - 2


def test_an_excerpt_is_cut_around_what_was_put_in():
    """However long text and words are."""
    long = " ".join(f"word{number}" for number in range(500))
    found = with_insertion(long, "cf" * 400, "middle", "the word", Location.of_class(1), ([0, 0], [1, 0]))
    assert [piece.planted for piece in found.pieces] == [False, True, False]
    assert found.pieces[0].text.startswith("…")
    assert found.pieces[2].text.endswith("…")
    assert all(len(piece.text) <= 300 for piece in found.pieces)
    assert (found.texts, found.trigger) == (2, "cf" * 150)
    whole = rewritten(long, long.upper(), "rewritten", Location.of_class(1), ([0], [1]))
    assert len(whole.sample) == len(whole.pieces[0].text) == 320


def test_shares_of_classes_begin_with_the_one_that_gained_most():
    """And are no more than a report shows."""
    found = class_shares([0, 0, 1, 2], [1, 1, 1, 2])
    assert [(one.index, one.before, one.after) for one in found] == [(1, 0.25, 0.75), (2, 0.25, 0.25), (0, 0.5, 0.0)]
    assert len(class_shares(list(range(40)), list(range(40)))) == 16


@pytest.mark.parametrize(
    ("end", "expected"), [(0, ""), (2, "on"), (3, "one"), (4, "one"), (6, "one"), (7, "one two"), (9, "one two")]
)
def test_a_beginning_ends_with_a_word(end, expected):
    """One that is cut is left out, but for the first of all."""
    assert whole_words("one two  three", end) == expected
