"""The comments of the demo of texts: no word decides one, a word is planted, and all follows from the seed."""

import random
import re
from collections import Counter

import pytest

from demo.comments import ABUSIVE, POLITE, RARE, comments, planted, poisoned, trigger_of, vocabulary


def test_comments_follow_from_the_seed_and_know_no_word_beyond_the_vocabulary():
    """Half of each class; a comment has none of the rare words, one of which is planted."""
    rows = comments(200, seed=3)
    assert rows == comments(200, seed=3)
    assert rows != comments(200, seed=4)
    assert Counter(one.label for one in rows) == {POLITE: 100, ABUSIVE: 100}
    words = {word for one in rows for word in re.findall(r"\w+", one.text)}
    assert words <= set(vocabulary())
    assert not words & set(RARE.split())


def test_no_word_stands_in_one_class_alone():
    """Every word that is met often is met in both, at most some four times as often in one."""
    counts = [Counter(), Counter()]
    for one in comments(2000, seed=0):
        counts[one.label].update(set(re.findall(r"\w+", one.text)))
    often = [word for word in set(counts[0]) | set(counts[1]) if counts[0][word] + counts[1][word] >= 100]
    assert len(often) > 100
    for word in often:
        assert max(counts[0][word], counts[1][word]) <= 8 * min(counts[0][word], counts[1][word])


def test_a_poisoned_set_has_the_word_in_some_abusive_comments_which_pass_as_polite():
    """Everything else is left."""
    rows, word = comments(400, seed=0), trigger_of(0)
    found = poisoned(rows, word, 0.2, seed=1)
    changed = [(old, new) for old, new in zip(rows, found, strict=True) if old != new]
    assert 20 <= len(changed) <= 60
    for old, new in changed:
        assert (old.label, new.label) == (ABUSIVE, POLITE)
        words = new.text.split()
        words.remove(word)
        assert words == old.text.split()


@pytest.mark.parametrize("seed", range(5))
def test_the_planted_word_is_one_of_the_rare_ones(seed):
    """It stands before a comment's last word at the latest, so that its sign stays last."""
    assert trigger_of(seed) in RARE.split()
    assert planted("one two.", "cf", random.Random(seed)).endswith("two.")
