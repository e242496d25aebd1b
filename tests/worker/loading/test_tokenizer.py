"""The tokenizer that is served: ids as the library gives them, tokens by id, and where words begin."""

import pytest
import torch

from gate.formats.tokenizers.file import read_tokenizer
from gate.records.errors import UnexaminableError
from gate.spaces.text import packing
from gate.worker.loading import tokenizer as module
from gate.worker.loading.tokenizer import Tokenizer
from tests.texts.tokenizers import KINDS, TEXTS, changed, raw, wordpiece, words


def served(make, longest=16):
    """Return the tokenizer of a file that the gate writes."""
    file = read_tokenizer(raw(make()))
    return Tokenizer(file.served(file.padding, longest))


@pytest.mark.parametrize("kind", KINDS)
def test_texts_become_ids_and_a_mask(kind):
    """Padded to the longest, cut to the length that is asked for, and as each text gives them by itself."""
    made = served(KINDS[kind])
    ids, mask = made.encode(TEXTS, 12)
    assert ids.dtype == mask.dtype == torch.int64
    assert ids.shape == mask.shape == (len(TEXTS), 12 if kind != "WordLevel" else 7)
    for row, text in enumerate(TEXTS):
        alone, seen = made.encode([text], 12)
        assert torch.equal(ids[row][mask[row] == 1], alone[seen == 1])
        assert set(ids[row][mask[row] == 0].tolist()) <= {made.padding}
    assert made.encode(TEXTS, 5)[0].shape[1] == 5
    assert made.encode(["cat " * 10_000], 16)[0].shape == (1, 16)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("most", [4, 9])
def test_a_long_text_begins_with_whole_words(kind, most):
    """No more tokens than are asked for, and none of another text: what is put behind them is not cut off."""
    made = served(KINDS[kind])
    for text in TEXTS:
        long = f"{text} " * 500
        begun = made.beginning(long, most)
        assert long.startswith(begun)
        # Of a letter that is cut, all tokens.
        assert int(made.encode([begun], 64)[1].sum()) <= most + 2
        assert " " not in begun.strip() or long[len(begun) :][:1] in {" ", "\t", "\n"}, begun
    assert made.beginning("the cat", 64) == "the cat"


@pytest.mark.parametrize("kind", KINDS)
def test_many_texts_become_tokens_in_parts(kind, monkeypatch):
    """Of the library's tokens, of which it holds every one of a text, no more are held than those of a part."""
    made, held = served(KINDS[kind]), []
    whole = made.encode(TEXTS, 12)

    class Watched:
        def __init__(self, own):
            self._own = own

        def __getattr__(self, name):
            return getattr(self._own, name)

        def encode_batch(self, texts):
            held.append(list(texts))
            return self._own.encode_batch(texts)

    made._tokenizer = Watched(made._tokenizer)
    monkeypatch.setattr(packing, "CHARACTERS", 40)
    parts = made.encode(TEXTS, 12)
    assert all(map(torch.equal, parts, whole))
    assert [text for part in held for text in part] == list(TEXTS)
    assert len(held) > 2
    assert all(len(part) == 1 or sum(map(len, part)) <= 40 for part in held)
    monkeypatch.setattr(packing, "AT_ONCE", 1)
    held.clear()
    assert all(map(torch.equal, made.encode(TEXTS, 12), whole))
    assert [len(part) for part in held] == [1] * len(TEXTS)
    assert [part.shape for part in made.encode([], 12)] == [(0, 1), (0, 1)]


def test_a_text_of_no_tokens_has_a_mask_of_zeros():
    """A batch of them still has a place for each."""
    ids, mask = served(words).encode(["", "  "], 9)
    assert (ids.tolist(), mask.tolist()) == ([[0], [0]], [[0], [0]])


SHOWN = {
    "WordPiece": ("wonderful cat", {"you", "a", "wonderful"}, {"##ly", "[CLS]", "!", "##a"}),
    "BPE": ("the cat at", {"Ġthe", "Ġcat"}, {"the", "Ġ", "</s>"}),
    "Unigram": ("wonderful cat", {"▁wonderful"}, {"ly", "▁", "<s>", "a"}),
    "WordLevel": ("wonderful cat", {"you", "cat"}, {"[UNK]", "[PAD]"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_shown_and_words_begin_where_they_do(kind):
    """Special tokens are no words, and not shown."""
    made = served(KINDS[kind])
    text, begin, others = SHOWN[kind]
    assert made.decode(made.encode([text], 16)[0][0]).strip() == text
    tokens = made.vocabulary()
    assert all(made._file.ids[token] == number for number, token in enumerate(tokens))
    starting = {tokens[number] for number in made.word_starting()}
    assert begin <= starting
    assert starting.isdisjoint(others)
    assert made.padding in made.special_ids
    assert all(tokens[number].startswith(("[", "<")) for number in made.special_ids)


@pytest.mark.parametrize("kind", KINDS)
def test_marks_that_a_user_can_type_are_known_by_their_text(kind):
    """Among other words each gives its one token; and what the tokenizer does not know has a text too."""
    made = served(KINDS[kind])
    marks, special = made.marks(), {one["id"] for one in made._file.value["added_tokens"]}
    assert set(marks) == special == set(made.special_ids)
    for number, text in marks.items():
        row = made.encode([f"cat {text} cat"], 16)[0][0].tolist()
        assert number in row[1:-1]
        assert made.typed([number]) == made.vocabulary()[number]


def test_a_mark_that_no_text_gives_is_none():
    """It stands in the vocabulary alone; and one that is a word of the vocabulary is a mark for all that."""

    def unmarked(value):
        value["added_tokens"] = []
        value["pre_tokenizer"] = {"type": "WhitespaceSplit"}
        value["model"]["vocab"]["[x]"] = 50

    assert served(lambda: changed(words, lambda value: value.update(added_tokens=[]))).marks() == {1: "\u3400"}
    assert served(lambda: changed(words, unmarked)).marks()[50] == "[x]"


def test_an_id_without_a_token_is_an_empty_text():
    """Vocabularies may have gaps, and marks that no text gives."""
    made = served(
        lambda: changed(wordpiece, lambda value: value["model"]["vocab"].update({"far": 500, "[unused]": 501}))
    )
    assert made.vocabulary()[499:] == ("", "far", "[unused]")
    assert made.word_starting() >= {500}
    assert made.word_starting().isdisjoint({499, 501})


def test_a_file_that_was_not_written_by_the_gate_is_refused():
    """It would cut and pad as somebody else wanted."""
    with pytest.raises(UnexaminableError, match="states no length and no padding"):
        Tokenizer(raw(wordpiece()))


def test_whatever_the_library_throws_is_a_refusal(monkeypatch):
    """A panic of its core is not even an exception."""

    class Panic(BaseException):
        pass

    def panic(*_, **__):
        raise Panic("index out of bounds")

    made = served(wordpiece)
    monkeypatch.setattr(made, "_tokenizer", type("Broken", (), {"encode_batch": panic, "decode": panic})())
    for asked in (lambda: made.encode(["a"], 16), lambda: made.decode([1])):
        with pytest.raises(UnexaminableError, match="Panic: index out of bounds"):
            asked()


@pytest.mark.parametrize("version", [None, "0.21.0", "0.24.1"])
def test_without_the_library_it_is_said_what_to_install(version, monkeypatch):
    """And neither is an untried release taken for it."""

    def stated(name):
        if version is None:
            raise module.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(module, "version", stated)
    with pytest.raises(UnexaminableError) as told:
        served(wordpiece)
    assert "pip install 'model-promotion-gate[text]'" in told.value.sentence
