"""What a tokenizer and a classifier of tokens owe to whoever measures them; importing it imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from gate.spaces.subject import Classifier, Subject

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence, Sized

    import torch


class Tokenizer(Protocol):
    """The tokenizer that is served with a model."""

    @property
    def special_ids(self) -> Collection[int]:
        """Ids of what frames or fills a text, or stands for what is unknown; a text may give them too (`marks`)."""
        ...

    @property
    def padding(self) -> int:
        """The id that stands where the mask is 0."""
        ...

    def marks(self) -> Mapping[int, str]:
        """Return the texts by which a user types a special, added or unknown token, by its id."""
        ...

    def encode(self, texts: Sequence[str], max_length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and mask (N, L) as int64, special tokens with them; longer texts are cut to `max_length`."""
        ...

    def beginning(self, text: str, most: int) -> str:
        """Return a text's beginning of so many tokens or fewer, of whole words where there are some."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens, without special ones."""
        ...

    def typed(self, ids: Sequence[int]) -> str:
        """Return the text that is typed for tokens, special ones too."""
        ...

    def vocabulary(self) -> Sized:
        """Return all tokens, as many as there are ids."""
        ...

    def word_starting(self) -> Collection[int]:
        """Return the ids of tokens that begin a word."""
        ...


class TextClassifier(Classifier, Protocol):
    """A classifier of tokens (N, L), `packing.ENDED` after each text's end; its tokenizer stands beside it."""

    longest: int
    """Most tokens that it is given of a text."""
    token_passes: int
    """Tokens through the model so far, forward."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that makes tokens of texts."""
        ...

    @property
    def embeddings(self) -> torch.Tensor | None:
        """The matrix (V, D) in which tokens are looked up; None where the graph has none alone."""
        ...

    def tokens(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the tokens (N, L) of texts, on the model's device; a text without any is refused."""
        ...

    def embedded(self, points: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Map embeddings (N, L, D) of texts of so many tokens (N,) to logits (N, K), differentiable in them."""
        ...

    def quick_embedded(self, points: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Do the same in the quickest form that agrees within rounding, for results that are measured again."""
        ...


def text_classifier(subject: Subject) -> TextClassifier:
    """Return the classifier for a detector of tokens; the scan gives it no other."""
    assert subject.classifier is not None
    return cast("TextClassifier", subject.classifier)
