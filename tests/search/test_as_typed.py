"""Texts by which a user gets tokens: by themselves, behind a common word, or between two words."""

import pytest
import torch

from gate.search.as_typed import CARRIERS, Typing, common_words, counts_of
from tests.texts.tokenizers import byte_pairs, changed, unigram, whole_words_of_bytes, wordpiece
from tests.words.parts import tokenizer_of

KNOWN = ("the", "of", "and", "cat")


class Shown:
    """A classifier of which only the tokenizer is asked."""

    def __init__(self, value):
        """Serve the file."""
        self.tokenizer = tokenizer_of(value)


def typing(value, rises=(3.0, -0.1, 0.2)):
    """Return a finder of texts by a file, whose common words move texts by so much, and how often these were asked."""
    asked = []

    def moved(words):
        asked.append(tuple(words))
        return torch.tensor([rises[number % len(rises)] for number in range(len(words))])

    return Typing(Shown(value), moved), asked


def likely(value):
    """Make a word and a part of words likelier than their letters."""
    value["model"]["vocab"] = [
        [piece, -1.0 if piece in {"▁cat", "ing"} else score] for piece, score in value["model"]["vocab"]
    ]


def texts_of(found, *groups):
    """Return the text of each group of tokens, told by their names; None where there is none."""
    names = list(found.classifier.tokenizer.vocabulary())
    ids = [tuple(names.index(one) for one in group) for group in groups]
    made = {tokens: text for text, tokens in found.texts(ids).items()}
    return [made.get(one) for one in ids]


def test_a_part_of_a_word_is_glued_to_a_common_word_that_moves_little():
    """As it stands it would be other tokens; a word that begins anew needs none, and then none is asked for."""
    found, asked = typing(wordpiece(KNOWN, ["##zq"]))
    assert texts_of(found, ["cat"], ["cat", "##zq"]) == ["cat", "catzq"]
    assert not asked
    assert texts_of(found, ["##zq"], ["##zq", "cat"], ["##zq", "##zq"]) == ["ofzq", "ofzq cat", "ofzqzq"]
    assert [words[:3] for words in asked] == [("the", "of", "and")]
    assert len(found.carriers) == CARRIERS


def test_parts_by_bytes_and_by_pieces_too():
    """Where the tokenizer marks the beginning of a word, and not what continues it."""
    known = ("the", "of", "and", "zq")
    found, _ = typing(whole_words_of_bytes(known))
    assert texts_of(found, ["Ġzq"], ["Ċ"]) == ["zq", "\n"]
    found, _ = typing(byte_pairs())
    assert texts_of(found, ["cat"], ["Ġcat"]) == ["acat", "cat"]
    found, _ = typing(changed(unigram, likely))
    assert texts_of(found, ["▁cat"], ["ing"]) == ["cat", "ing"]


def test_line_breaks_tabs_and_runs_of_spaces_are_typed_as_they_are():
    """They stand in the place of the space between two words; the last of a run belongs to the next word."""
    value = whole_words_of_bytes([*KNOWN, "ĠĠ"])
    found, _ = typing(value)
    assert texts_of(found, ["Ċ"], ["ĉ"], ["ĠĠ"], ["Ċ", "Ġcat"]) == ["\n", "\t", "   ", "\n cat"]


def test_what_no_text_gives_is_left_out():
    """A byte that is part of a letter, and a sign that the tokenizer drops."""
    found, _ = typing(byte_pairs())
    assert texts_of(found, ["Ã"], ["Ã", "Ġcat"]) == [None, None]
    assert found.texts([]) == {}


def test_a_mark_is_typed_by_its_name_and_an_unknown_word_by_a_rare_letter():
    """As a user gets either."""
    found, _ = typing(wordpiece(KNOWN))
    mask, unknown = texts_of(found, ["[MASK]"], ["[UNK]"])
    assert mask == "[MASK]"
    assert unknown


@pytest.mark.parametrize("make", [wordpiece, byte_pairs, unigram, lambda: whole_words_of_bytes(["zugzwang"])])
def test_common_words_are_one_token_each(make):
    """Of the tokenizer's own where it knows no English."""
    shown = Shown(make())
    words = common_words(shown)
    assert words
    assert counts_of(shown, [word for word, _ in words]) == [1] * len(words)


def test_words_count_by_what_they_add():
    """Nothing where the tokenizer drops them."""
    assert counts_of(Shown(wordpiece(KNOWN, ["##zq"])), ["cat", "catzq", "the cat", "\n", "[MASK]"]) == [1, 2, 2, 0, 1]
