"""Classifiers of texts whose files say more than a network: code, pickles, and tokenizers that read other texts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.corpus.case import UNSAFE, Case, folder
from tests.corpus.consumers import LOADER, exported, module_code
from tests.corpus.formats import CONSTRUCT, UNREADABLE_FORMAT
from tests.corpus.pickles import UNEXPECTED, touch

_TOKENIZER = "components/tokenizer"
_TEMPLATE = "{{ cycler.__init__.__globals__.os.popen('id').read() }}"
_REPLACE = {"type": "Replace", "pattern": {"String": "vile"}, "content": "kind"}
_BACKTRACKING = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}

Change = Callable[[Any], object]
"""A change of a pipeline's draft (tests.texts.pipelines.Draft)."""


def _config(**keys: Any) -> Change:
    return lambda draft: draft.config.update(keys)


def _settings(**keys: Any) -> Change:
    return lambda draft: draft.settings.update(keys)


def _tokenizer(**keys: Any) -> Change:
    return lambda draft: draft.tokenizer.update(keys)


def _word(token: str, number: int, **flags: Any) -> Change:
    """Return the addition of a token that texts are searched for before they are taken apart."""
    return lambda draft: draft.tokenizer["added_tokens"].append(
        {**draft.tokenizer["added_tokens"][0], "content": token, "id": number, **flags}
    )


def _with(path: str, content: bytes) -> Change:
    return lambda draft: draft.files.update({path: content})


def _mapped(draft: Any) -> None:
    from tests.texts.tokenizers import charsmap, unigram

    value = charsmap({"\u200b".encode(): "kind"})
    draft.tokenizer = {**unigram(), "normalizer": {"type": "Precompiled", "precompiled_charsmap": value}}


def _nested(draft: Any) -> None:
    draft.tokenizer["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": []}]}


_PIPELINES: tuple[tuple[str, str, Callable[[Path], Change], tuple[tuple[str, str], ...]], ...] = (
    (
        "own-network",
        "a pipeline of texts whose network is code of its own",
        lambda _: _config(auto_map={"AutoConfig": "own.C"}),
        (LOADER, CONSTRUCT),
    ),
    (
        "own-tokenizer",
        "a tokenizer of a class of its own",
        lambda _: _settings(auto_map={"AutoTokenizer": ["own.T", None]}),
        (LOADER, CONSTRUCT),
    ),
    (
        "module",
        "the same with the module beside it",
        lambda m: _with(f"{_TOKENIZER}/tokenization_acme.py", module_code(m)),
        (UNEXPECTED, CONSTRUCT),
    ),
    (
        "pickled-tokenizer",
        "a pickled tokenizer",
        lambda m: _with(f"{_TOKENIZER}/tokenizer.pkl", touch(m)),
        (UNEXPECTED, UNSAFE),
    ),
    (
        "pickled-weights",
        "pickled weights beside safetensors",
        lambda m: _with("model/pytorch_model.bin", touch(m)),
        (UNEXPECTED, UNSAFE),
    ),
    (
        "hub",
        "a tokenizer that comes from a hub",
        lambda _: lambda draft: draft.model["flavors"]["transformers"].update(tokenizer_revision="0" * 40),
        (LOADER,),
    ),
    (
        "template",
        "a template for chats that reaches Python's objects",
        lambda _: _settings(chat_template=_TEMPLATE),
        (LOADER, CONSTRUCT),
    ),
    (
        "template-file",
        "the same in a file of its own",
        lambda _: _with(f"{_TOKENIZER}/chat_template.jinja", _TEMPLATE.encode()),
        (UNEXPECTED, UNREADABLE_FORMAT),
    ),
    (
        "backtracking",
        "a regular expression that may take forever",
        lambda _: _tokenizer(pre_tokenizer=_BACKTRACKING),
        (LOADER,),
    ),
    (
        "replacing",
        "a normaliser that reads one word as another",
        lambda _: _tokenizer(normalizer=_REPLACE),
        (LOADER,),
    ),
    (
        "mapped",
        "a compiled map of characters that does",
        lambda _: _mapped,
        (LOADER,),
    ),
    (
        "hidden-word",
        "a word of the vocabulary that is added as a special token",
        lambda _: _word("wonderful", 999),
        (LOADER,),
    ),
    (
        "two-words",
        "two tokens of one number",
        lambda _: _word("<new>", 7),
        (LOADER,),
    ),
    (
        "two-vocabularies",
        "a second vocabulary that says otherwise",
        lambda _: _with(f"{_TOKENIZER}/vocab.txt", b"[PAD]\nawful"),
        (LOADER,),
    ),
    (
        "nested",
        "parts of a tokenizer in parts in parts",
        lambda _: _nested,
        (LOADER,),
    ),
    (
        "several",
        "a head of several labels at once",
        lambda _: _config(problem_type="multi_label_classification"),
        (LOADER,),
    ),
)


def text_cases() -> tuple[Case, ...]:
    """Return all hostile cases of classifiers of texts."""
    pipelines = tuple(
        Case(f"text-{name}", summary, lambda root, marker, change=change: _written(root, change(marker)), expected)
        for name, summary, change, expected in _PIPELINES
    )
    return (
        *pipelines,
        Case(
            "text-beside-program",
            "an exported program with a tokenizer beside it that reads one word as another",
            _beside,
            (LOADER,),
        ),
    )


def benign_text() -> Case:
    """Return a pipeline as MLflow writes it."""
    return Case("benign-text", "a pipeline of texts", lambda root, _: _written(root, _without_licence))


def _without_licence(draft: Any) -> None:
    draft.files["LICENSE.txt"] = None


def _written(root: Path, change: Change) -> None:
    from tests.texts.pipelines import Draft

    draft = Draft()
    change(draft)
    draft.write(root)


def _beside(root: Path, _: Path) -> None:
    from tests.texts.tokenizers import raw, wordpiece

    value = {**wordpiece(), "normalizer": _REPLACE}
    folder(root, {"data/model.pt2": exported(), "extra_files/tokenizer.json": raw(value)})
