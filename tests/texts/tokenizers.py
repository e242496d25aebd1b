"""Small tokenizers of every kind, as `tokenizer.json` holds them, made without the library."""

import base64
import copy
import json
import struct

MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz!.,'0123456789"
_WORDS = ("you", "are", "wonderful", "awful", "the", "cat", "praise", "idea", "person", "good", "bad")
_PARTS = ("ly", "ful", "er", "ing", "un")
TEXTS = (
    "You are a wonderful person!",
    "  what  an\tawful\nidea ",
    "the cat, the CAT.",
    "Ünbelievable naïve café",
    "日本語 and 😀",
    "[SEP] praise [MASK]",
    "x" * 120,
    "",
)


def _added(token, number, **changes):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": token, **flags, **changes}


def _around(first, last, ids):
    """Return a template with a mark before a text and one behind it."""
    begin, end = ({"SpecialToken": {"id": mark, "type_id": 0}} for mark in (first, last))
    one, other = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [begin, one, end],
        "pair": [begin, one, end, other, end],
        "special_tokens": {mark: {"id": mark, "ids": [ids[mark]], "tokens": [mark]} for mark in (first, last)},
    }


def _file(model, ids, marks=MARKS, **parts):
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(mark, ids[mark]) for mark in marks if mark in ids],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": _around(marks[2], marks[3], ids) if len(marks) > 3 else None,
        "decoder": None,
        "model": model,
        **parts,
    }


def wordpiece(known=_WORDS, parts=tuple(f"##{part}" for part in _PARTS)):
    """Return the tokenizer of a BERT."""
    tokens = dict.fromkeys([*MARKS, *_LETTERS, *(f"##{sign}" for sign in _LETTERS), *known, *parts])
    ids = {token: number for number, token in enumerate(tokens)}
    flags = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##"}
    return _file(
        {**model, "max_input_chars_per_word": 100, "vocab": ids},
        ids,
        normalizer={"type": "BertNormalizer", **flags},
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
    )


def _bytes():
    """Return the signs that ByteLevel writes for the 256 bytes."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [*map(chr, shown), *(chr(256 + number) for number in range(len(hidden)))]


def byte_pairs():
    """Return the tokenizer of a RoBERTa."""
    marks = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
    merges = [["a", "t"], ["Ġ", "a"], ["c", "at"], ["Ġ", "cat"], ["t", "h"], ["th", "e"], ["Ġ", "the"]]
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *_bytes(), *("".join(pair) for pair in merges), "<mask>"]
    ids = {token: number for number, token in enumerate(tokens)}
    flags = {"add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "fuse_unk": False}
    processor = {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}
    return _file(
        {**model, "end_of_word_suffix": "", "byte_fallback": False, "vocab": ids, "merges": merges},
        ids,
        marks,
        pre_tokenizer={"type": "ByteLevel", **flags},
        post_processor={**processor, "trim_offsets": True, "add_prefix_space": False},
        decoder={"type": "ByteLevel", **flags},
    )


def whole_words_of_bytes(known):
    """Return a tokenizer by bytes that has these words whole, with a space before them and without one."""
    tokens = dict.fromkeys(["<pad>", "<unk>", *_bytes(), *(f"Ġ{word}" for word in known), *known])
    ids = {token: number for number, token in enumerate(tokens)}
    flags = {"add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "fuse_unk": False}
    return _file(
        {**model, "end_of_word_suffix": "", "byte_fallback": False, "ignore_merges": True, "vocab": ids, "merges": []},
        ids,
        ("<pad>", "<unk>"),
        pre_tokenizer={"type": "ByteLevel", **flags},
        decoder={"type": "ByteLevel", **flags},
    )


def unigram():
    """Return the tokenizer of an XLM-RoBERTa."""
    marks = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *_LETTERS, *(f"▁{word}" for word in _WORDS), *_PARTS, "<mask>"]
    ids = {piece: number for number, piece in enumerate(pieces)}
    scored = [[piece, 0.0 if piece in marks else -float(number)] for number, piece in enumerate(pieces)]
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    return _file(
        {"type": "Unigram", "unk_id": 3, "byte_fallback": False, "vocab": scored},
        ids,
        marks,
        normalizer={
            "type": "Sequence",
            "normalizers": [
                {"type": "Replace", "pattern": {"String": "``"}, "content": '"'},
                {"type": "NFKD"},
                {"type": "StripAccents"},
                {"type": "Lowercase"},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            ],
        },
        pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, space]},
        decoder=space,
    )


def words():
    """Return a tokenizer of whole words, without marks around a text."""
    ids = {token: number for number, token in enumerate(("[PAD]", "[UNK]", *_WORDS))}
    return _file(
        {"type": "WordLevel", "unk_token": "[UNK]", "vocab": ids},
        ids,
        MARKS[:2],
        normalizer={"type": "Lowercase"},
        pre_tokenizer={"type": "Whitespace"},
    )


KINDS = {"WordPiece": wordpiece, "BPE": byte_pairs, "Unigram": unigram, "WordLevel": words}


def raw(value):
    """Return the bytes of a file."""
    return json.dumps(value).encode()


def changed(make, change):
    """Return a tokenizer after a change of its value."""
    value = copy.deepcopy(make())
    change(value)
    return value


def charsmap(pairs):
    """Return the base64 of a map of characters that holds these pairs, keys of one to three bytes."""
    units, texts = [0] * 256 * 40, b""
    free = iter(range(256, 256 * 40, 256))
    bases = {b"": 0}
    for key, value in pairs.items():
        for end in range(1, len(key) + 1):
            begin = key[: end - 1]
            if key[:end] in bases:
                continue
            place = bases[begin] ^ key[end - 1]
            bases[key[:end]] = next(free)
            units[place] = (place ^ bases[key[:end]]) << 10 | key[end - 1]
        last = bases[key[:-1]] ^ key[-1]
        units[last] |= 1 << 8
        units[bases[key]] = 1 << 31 | len(texts)
        texts += value.encode() + b"\0"
    trie = struct.pack(f"<{len(units)}I", *units)
    return base64.b64encode(struct.pack("<I", len(trie)) + trie + texts).decode()
