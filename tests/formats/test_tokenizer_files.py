"""`tokenizer.json` as data: known tokenizers are read and served as they were, each thing beside them is told."""

import base64
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.formats.source import UnreadableError
from gate.formats.tokenizers.charsmap import is_of_unicode
from gate.formats.tokenizers.file import MAX_BYTES, read_tokenizer, tokenizer_faults
from tests.texts.tokenizers import KINDS, TEXTS, byte_pairs, changed, charsmap, raw, unigram, wordpiece, words

EVERY = pytest.mark.parametrize("kind", KINDS)


def loaded(value):
    """Return a file's tokenizer as the library makes it."""
    from tokenizers import Tokenizer

    return Tokenizer.from_str(value.decode())


@EVERY
def test_what_is_served_gives_the_same_tokens(kind):
    """Cut and padded: the marks, the numbers and the mask are those of the file itself."""
    file = read_tokenizer(raw(KINDS[kind]()))
    served, own = loaded(file.served(file.padding, 12)), loaded(raw(KINDS[kind]()))
    own.enable_truncation(12)
    longest = max(len(own.encode(text).ids) for text in TEXTS)
    for text, padded in zip(TEXTS, served.encode_batch(list(TEXTS)), strict=True):
        ids = own.encode(text).ids
        assert [number for number, seen in zip(padded.ids, padded.attention_mask, strict=True) if seen] == ids
        assert len(padded.ids) == longest <= 12
        assert set(padded.ids[len(ids) :]) <= {file.ids[file.padding]}
        assert set(padded.type_ids) == {0}
    assert served.encode_batch(["the cat"])[0].ids == served.encode("the cat").ids  # padded to the longest alone


@EVERY
def test_the_same_tokenizer_gives_the_same_bytes(kind):
    """However the file was written, and from what was served, too."""
    value = KINDS[kind]()
    file = read_tokenizer(raw(value))
    turned = dict(reversed(value.items()))
    served = file.served(file.padding, 12)
    assert read_tokenizer(json.dumps(turned, indent=2).encode()).served(file.padding, 12) == served
    assert read_tokenizer(served).served(file.padding, 12) == served


def test_merges_in_either_form_are_served_in_one():
    """As pairs: a token may hold a space."""
    as_texts = changed(byte_pairs, lambda value: value["model"].update(merges=["a t", "Ġ a"]))
    as_pairs = changed(byte_pairs, lambda value: value["model"].update(merges=[["a", "t"], ["Ġ", "a"]]))
    files = [read_tokenizer(raw(value)) for value in (as_texts, as_pairs)]
    assert files[0].served("<pad>", 9) == files[1].served("<pad>", 9)


def test_what_a_file_says_of_lengths_is_known():
    """As sentence-transformers writes it, without a direction."""
    said = {"max_length": 128, "strategy": "LongestFirst", "stride": 0}
    padding = {"strategy": {"Fixed": 128}, "direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}
    file = read_tokenizer(raw({**wordpiece(), "truncation": said, "padding": {**padding, "pad_to_multiple_of": None}}))
    assert (file.longest, file.padding) == (128, "[PAD]")
    assert read_tokenizer(raw(changed(words, lambda value: value["added_tokens"].clear()))).padding == "[PAD]"


def part(key, value):
    """Return a change of one part."""
    return lambda made: made.update({key: value})


def model(**keys):
    """Return a change of the model."""
    return lambda made: made["model"].update(keys)


def added(**keys):
    """Return a change of the last added token."""
    return lambda made: made["added_tokens"][-1].update(keys)


def more(token, number, **flags):
    """Return the addition of a token."""
    return lambda made: made["added_tokens"].append(
        {**made["added_tokens"][0], "content": token, "id": number, **flags}
    )


HOSTILE = "(a+)+$"
REPLACE = {"type": "Replace", "pattern": {"String": "wonderful"}, "content": "awful"}
SPLIT = {"type": "Split", "behavior": "Isolated", "invert": False}
TYPED = {"SpecialToken": {"id": "[CLS]", "type_id": 1}}
REFUSED = {
    "an unknown key": (wordpiece, part("chat_template", "{{ messages }}"), "'chat_template', which the gate does not"),
    "another version": (wordpiece, part("version", "2.0"), "'version' is '2.0'"),
    "a hostile regular expression": (
        wordpiece,
        part("pre_tokenizer", {**SPLIT, "pattern": {"Regex": HOSTILE}}),
        "pre_tokenizer: 'pattern' is",
    ),
    "a word for another": (wordpiece, part("normalizer", REPLACE), "normalizer: 'pattern' is"),
    "a space for another sign": (
        wordpiece,
        part("normalizer", {**REPLACE, "pattern": {"String": "``"}, "content": " "}),
        "normalizer: it replaces",
    ),
    "a part in a part in a part": (
        wordpiece,
        part("normalizer", {"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": []}]}),
        "normalizer: its type is 'Sequence'",
    ),
    "many parts": (
        wordpiece,
        part("normalizer", {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 17}),
        "a Sequence holds up to 16 parts",
    ),
    "a part of another kind": (wordpiece, part("pre_tokenizer", {"type": "NFC"}), "pre_tokenizer: its type is 'NFC'"),
    "a part whose type is none": (wordpiece, part("decoder", {"type": ["Fuse"]}), "decoder: its type is"),
    "a key too many": (
        wordpiece,
        part("decoder", {"type": "Fuse", "code": "x"}),
        "'code', which the gate does not know for a Fuse",
    ),
    "tokens by chance": (byte_pairs, model(dropout=0.1), "model: 'dropout' is '0.1'"),
    "another model": (wordpiece, model(type="Custom"), "its type is 'Custom'"),
    "no vocabulary": (wordpiece, lambda made: made["model"].pop("vocab"), "it has no 'vocab'"),
    "no merges": (byte_pairs, lambda made: made["model"].pop("merges"), "it has no 'merges'"),
    "a number twice": (wordpiece, lambda made: made["model"]["vocab"].update(new=7), "each with a number of its own"),
    "a number below 0": (wordpiece, lambda made: made["model"]["vocab"].update(new=-1), "'vocab' is"),
    "a long token": (
        wordpiece,
        lambda made: made["model"]["vocab"].update({"x" * 1001: 999}),
        "each with a number of its own",
    ),
    "an unknown token that is none": (wordpiece, model(unk_token="[NONE]"), "'[NONE]' is not in the vocabulary"),
    "an unknown piece that is none": (unigram, model(unk_id=999), "has the number 999"),
    "a merge of nothing": (byte_pairs, model(merges=[["a", "zz"]]), "it merges 'a' and 'zz'"),
    "a prefix that no merge has": (
        byte_pairs,
        model(continuing_subword_prefix="abcd"),
        "it merges 'a' and 't', which does not begin with its prefix 'abcd'",
    ),
    "a merge of three": (byte_pairs, model(merges=["a b c"]), "'merges' is"),
    "a score that is none": (unigram, model(vocab=[["a", "b"]]), "'vocab' is"),
    "a piece twice": (unigram, model(vocab=[["a", 0.0], ["a", 0.0]]), "up to 600000 different tokens"),
    "words of any length": (wordpiece, model(max_input_chars_per_word=10**6), "'max_input_chars_per_word' is"),
    "a word that is hidden": (wordpiece, more("wonderful", 999), "'wonderful' has the number 999"),
    "a new word that is hidden": (wordpiece, more("praiseworthy", 999), "is called special and looks like a text"),
    "two tokens of one number": (wordpiece, more("<new>", 7), "'<new>' has the number 7, which is not its own"),
    "an added token without flags": (
        wordpiece,
        lambda made: made["added_tokens"][-1].pop("special"),
        "one has no 'special'",
    ),
    "an added token that is none": (wordpiece, part("added_tokens", ["[SEP]"]), "added_tokens: it is no mapping"),
    "a type of the first text's tokens": (
        wordpiece,
        lambda made: made["post_processor"]["single"].__setitem__(0, TYPED),
        "a type_id is '1'",
    ),
    "a mark that is none": (
        wordpiece,
        lambda made: made["post_processor"]["special_tokens"]["[SEP]"].update(ids=[7]),
        "the mark '[SEP]' is not the one token of that name",
    ),
    "a mark of many tokens": (
        wordpiece,
        lambda made: made["post_processor"]["special_tokens"]["[SEP]"].update(ids=[3, 7], tokens=["[SEP]", "x"]),
        "the mark '[SEP]' is not the one token of that name",
    ),
    "a mark that nobody knows": (
        wordpiece,
        lambda made: made["post_processor"]["single"].append({"SpecialToken": {"id": "[NEW]", "type_id": 0}}),
        "the mark '[NEW]' is not among",
    ),
    "no text": (wordpiece, lambda made: made["post_processor"]["single"].pop(1), "it holds the texts ''"),
    "an end that is none": (
        byte_pairs,
        lambda made: made["post_processor"].update(sep=["</s>", 7]),
        "post_processor: 'sep' is",
    ),
    "another processor": (wordpiece, part("post_processor", {"type": ["x"]}), "post_processor: its type is"),
    "cut on the left": (wordpiece, part("truncation", {"direction": "Left", "max_length": 9}), "'direction' is 'Left'"),
    "cut into overlapping parts": (wordpiece, part("truncation", {"max_length": 9, "stride": 3}), "'stride' is '3'"),
    "padding that is another token": (
        wordpiece,
        part("padding", {"pad_id": 7, "pad_token": "[PAD]"}),
        "'pad_id' is not the number of 'pad_token'",
    ),
    "half a character": (wordpiece, lambda made: made["model"]["vocab"].update({"\ud800": 999}), "half of a character"),
    "a map of characters that is none": (
        unigram,
        part("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        "'precompiled_charsmap' is",
    ),
    "a list": (wordpiece, lambda made: made.clear(), "'version' is 'None'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_whatever_else_is_told_in_one_sentence(what):
    """And nothing is read of such a file."""
    make, change, sentence = REFUSED[what]
    value = changed(make, change)
    assert any(sentence in fault for fault in tokenizer_faults(value)), list(tokenizer_faults(value))
    with pytest.raises(UnreadableError):
        read_tokenizer(raw(value))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"version": "1.0", "version": "1.0"}', "duplicate key"),
        (b"[" * 100_000, "not acceptable JSON|nested"),
        (b'{"version": ' + b"[" * 300 + b"]" * 300 + b"}", "nested deeper"),
        (b"\x80\x04N.", "not acceptable JSON: .*; save the tokenizer again by save_pretrained"),
        (b" " * (MAX_BYTES + 1), "larger than"),
        (b"[]", "no mapping"),
    ],
)
def test_bytes_that_are_no_such_file_are_refused(content, sentence):
    """Large, nested, or something else."""
    with pytest.raises(UnreadableError, match=sentence):
        read_tokenizer(content)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    path=st.lists(st.integers(0, 50), min_size=1, max_size=5),
    value=_ANY,
)
def test_any_change_is_read_or_told(kind, path, value):
    """One value anywhere in a good file is exchanged for any other: there is no other error."""
    made = KINDS[kind]()
    place = made
    for step in path[:-1]:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        following = [key for key in keys if isinstance(place[key], dict | list) and place[key]]
        if not following:
            break
        place = place[following[step % len(following)]]
    keys = list(place) if isinstance(place, dict) else range(len(place))
    place[keys[path[-1] % len(keys)]] = value
    faults = list(tokenizer_faults(made))
    if not faults:
        file = read_tokenizer(raw(made))
        assert loaded(file.served(file.padding, 9)) if file.padding else file.ids


FOLLOWING = {"ﬁ": "fi", "Ａ": "A", "Ä": "ä", "\u200b": " ", "\x07": "", "½": "1⁄2", "ς": "σ"}


def test_a_map_that_follows_unicode_is_read():
    """As the library applies it: compatibility, case, and signs that are not seen."""
    value = charsmap({key.encode(): text for key, text in FOLLOWING.items()})
    assert is_of_unicode(value)
    assert is_of_unicode("")
    made = changed(unigram, part("normalizer", {"type": "Precompiled", "precompiled_charsmap": value}))
    file = read_tokenizer(raw(made))
    assert loaded(file.served("<pad>", 9)).normalizer.normalize_str("ﬁＡ½") == "fiA1⁄2"


@pytest.mark.parametrize("pair", [("ﬁ", "awful"), ("a", "b"), ("x", ""), ("\u200b", "awful"), ("Ａ", "B")])
def test_a_map_of_one_text_to_another_is_refused(pair):
    """A sign that nobody types could stand for a word."""
    assert not is_of_unicode(charsmap({pair[0].encode(): pair[1]}))


def broken(change):
    """Return a good map after a change of its bytes."""
    content = bytearray(base64.b64decode(charsmap({"ﬁ".encode(): "fi"})))
    change(content)
    return base64.b64encode(content).decode()


BROKEN = {
    "a size beyond the end": lambda content: content.__setitem__(slice(0, 4), struct.pack("<I", 1 << 30)),
    "a size that is no multiple": lambda content: content.__setitem__(0, content[0] + 1),
    "a text beyond the end": lambda content: content.__delitem__(slice(-3, None)),
    "a step out of it": lambda content: content.__setitem__(slice(4, 8), struct.pack("<I", 0xFFFFF << 10)),
    "a circle": lambda content: content.__setitem__(slice(4, 4 + 4 * 256), b"".join(
        struct.pack("<I", place << 10 | place) for place in range(256))),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_map_that_is_none_is_refused(what):
    """The library would look for units beyond the end, or walk for ever."""
    assert not is_of_unicode(broken(BROKEN[what]))
    assert not is_of_unicode("not base64!")
