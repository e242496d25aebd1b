"""A text classifier's files beside its network as one value: which tokens a text gives, and how many of them count."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gate.formats.huggingface.architectures import Architecture
from gate.formats.huggingface.text_architectures import most_tokens
from gate.formats.huggingface.tokenizer_settings import content_of, plain_name
from gate.formats.tokenizers.file import TokenizerFile

LEAST: Final = 4
"""Fewest tokens that a network must take: two marks, and some of a text."""


@dataclass(frozen=True)
class Texts:
    """What a pipeline makes of a text."""

    tokenizer: TokenizerFile
    kind: str
    """Class of transformers, without the suffix of its kind."""
    folder: Path
    """Folder of the tokenizer's files."""
    padding: str
    """The token that fills up a batch."""
    longest: int
    """Most tokens of a text that the network takes."""

    @property
    def served(self) -> bytes:
        """The tokenizer's file as the gate writes it."""
        return self.tokenizer.served(self.padding, self.longest)


def texts_of(
    tokenizer: TokenizerFile,
    settings: Mapping[str, Any],
    config: Mapping[str, Any],
    architecture: Architecture,
    folder: Path,
) -> Texts:
    """Return what files without faults say of texts."""
    stated = settings.get("model_max_length")
    most = most_tokens(architecture, config)
    longest = most if stated is None else int(min(most, stated))
    kind = plain_name(settings["tokenizer_class"])
    return Texts(tokenizer, kind, folder, content_of(settings["pad_token"]), longest)


def texts_faults(texts: Texts, config: Mapping[str, Any], architecture: Architecture) -> Iterator[str]:
    """Yield where a tokenizer and its network do not go together."""
    ids = texts.tokenizer.ids
    size, padding = config.get("vocab_size"), config.get("pad_token_id")
    if type(size) is not int or max(ids.values()) >= size:
        yield (
            f"it has a token of the number {max(ids.values())}, and the network's 'vocab_size' is {_shown(size)}: log "
            "the network with the tokenizer that it was trained with"
        )
    if texts.padding not in ids:
        yield f"it pads with {texts.padding[:60]!a}, which is none of its tokens"
    elif padding is None and architecture.behind_padding:
        yield "the network counts positions from its 'pad_token_id' on, and states none"
    elif padding is not None and padding != ids[texts.padding]:
        yield (
            f"it pads with the number {ids[texts.padding]}, and the network's 'pad_token_id' is {_shown(padding)}: log "
            "the network with the tokenizer that it was trained with"
        )
    if texts.longest < LEAST:
        yield (
            f"a text may have {texts.longest} tokens, by 'max_position_embeddings' and 'model_max_length'; expected at "
            f"least {LEAST}"
        )


def _shown(number: object) -> str:
    return str(number)[:20] if type(number) is int else ascii(str(number)[:20])
