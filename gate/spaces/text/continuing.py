"""What a language model and its base owe to whoever measures how both continue prompts; imported without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import torch


class Begun(Protocol):
    """The beginning of a text, which a network has seen; many ends are tried behind it."""

    @property
    def length(self) -> int:
        """Its number of tokens."""
        ...

    @property
    def cache(self) -> Any:
        """What the network remembers of it."""
        ...


class Going(Protocol):
    """Several texts that are continued token by token, together."""

    @property
    def logits(self) -> torch.Tensor:
        """Logits (N, V) of the token behind each text."""
        ...

    def push(self, tokens: torch.Tensor) -> None:
        """Put one token (N,) behind each text."""
        ...


class LanguageModel(Protocol):
    """A network of token ids to the logits of the next token, in float32; logits that are not finite are refused."""

    sample_passes: int
    gradient_passes: int
    token_passes: int
    """Tokens through the network so far, forward."""

    @property
    def embeddings(self) -> torch.Tensor:
        """The matrix (V, D) in which tokens are looked up."""
        ...

    @property
    def state(self) -> Mapping[str, torch.Tensor]:
        """Parameters and buffers by name."""
        ...

    def begun(self, ids: Sequence[int]) -> Begun:
        """Return the beginning of a text, which may be empty."""
        ...

    def behind(self, begun: Begun, rows: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield the logits (n, V) of the token behind each end (N, M), M at least 1, in their order, part by part."""
        ...

    def going(self, rows: Sequence[Sequence[int]]) -> Going:
        """Return texts of any lengths, at least one token each, to be continued."""
        ...

    def embedded(self, points: torch.Tensor) -> torch.Tensor:
        """Map embeddings (N, L, D) to the logits (N, V) of the next token, differentiable in them."""
        ...


class Words(Protocol):
    """The base's tokenizer, which is the candidate's too."""

    @property
    def special_ids(self) -> Collection[int]:
        """Ids of what frames or fills a text."""
        ...

    def plain(self, text: str) -> list[int]:
        """Return the ids of a text, without what frames it; marks that are typed count as what they stand for."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens, without special ones."""
        ...

    def typed(self, ids: Sequence[int]) -> str:
        """Return the text that is typed for tokens, special ones too."""
        ...

    def vocabulary(self) -> Sequence[str]:
        """Return all tokens by id."""
        ...

    def word_starting(self) -> Collection[int]:
        """Return the ids of tokens that begin a word."""
        ...


@dataclass(frozen=True)
class Frame:
    """What stands around a prompt."""

    before: str = ""
    after: str = ""
    lead: tuple[int, ...] = ()
    """Ids in front of all text, such as that of a text's begin."""


@dataclass(frozen=True)
class BesideBase:
    """A candidate's network and that of its base, with one tokenizer."""

    own: LanguageModel
    base: LanguageModel
    words: Words
    frame: Frame
    framed: str
    """How that was found, as the end of a sentence."""
    longest: int
    """Most tokens of prompt and continuation."""
    prompts: tuple[str, ...] = ()
    """Clean prompts that the operator gave; empty where there are none."""

    @property
    def token_passes(self) -> int:
        """Tokens through both networks so far."""
        return self.own.token_passes + self.base.token_passes
