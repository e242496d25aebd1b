"""A network of transformers as a `LanguageModel`: what it expects behind a text, many ends behind one beginning.

A cache of keys and values holds what the network has seen of a beginning. Texts meet in one pass only where they have
equally many tokens, so that none is padded and each gets the answer that it gets by itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from gate.records.errors import UnexaminableError
from gate.spaces.text.continuing import Begun
from gate.worker.loading.passes import going_back
from gate.worker.pipelines.library import library

MOST_TOKENS: Final = 2048
"""Tokens of one pass, which bounds memory."""
_MOST_HELD: Final = 512 << 20
"""Bytes of keys and values of one pass."""
_SINGLE: Final = 4


@dataclass(frozen=True)
class Beginning:
    """A beginning that the network has seen."""

    cache: Any
    length: int


class NextTokens:
    """One network, called by its name where it is at fault."""

    def __init__(self, network: torch.nn.Module, name: str) -> None:
        """Hold a network in eval mode."""
        self._network: Any = network
        self._name = name
        self._device = network.get_input_embeddings().weight.device  # type: ignore[operator]
        self._held = _bytes_of_a_position(self._network.config)
        self.sample_passes = 0
        self.gradient_passes = 0
        self.token_passes = 0

    @property
    def embeddings(self) -> torch.Tensor:
        """The matrix (V, D) in which tokens are looked up."""
        matrix: torch.Tensor = self._network.get_input_embeddings().weight
        return matrix.detach()

    @property
    def state(self) -> Mapping[str, torch.Tensor]:
        """Parameters and buffers by name."""
        return {**dict(self._network.named_parameters()), **dict(self._network.named_buffers())}

    def begun(self, ids: Sequence[int]) -> Beginning:
        """Return the beginning of a text, which may be empty."""
        cache = library().DynamicCache()
        if ids:
            self._logits(torch.tensor([list(ids)], device=self._device), cache)
        return Beginning(cache, len(ids))

    def behind(self, begun: Begun, rows: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield the logits (n, V) of the token behind each end (N, M), M at least 1, in their order, part by part."""
        width = rows.shape[1]
        for part in torch.split(rows.to(self._device), self._at_once(width, begun.length + width)):
            cache = deepcopy(begun.cache)
            cache.batch_repeat_interleave(len(part))
            yield self._logits(part, cache)

    def going(self, rows: Sequence[Sequence[int]]) -> "Continued":
        """Return texts of any lengths, at least one token each, to be continued."""
        groups: list[_Group] = []
        for length in sorted({len(row) for row in rows}):
            numbers = [number for number, row in enumerate(rows) if len(row) == length]
            for begin in range(0, len(numbers), size := self._at_once(length, length)):
                chosen = numbers[begin : begin + size]
                ids = torch.tensor([list(rows[number]) for number in chosen], device=self._device)
                cache = library().DynamicCache()
                groups.append(_Group(torch.tensor(chosen), cache, self._logits(ids, cache)))
        return Continued(self, groups)

    def embedded(self, points: torch.Tensor) -> torch.Tensor:
        """Map embeddings (N, L, D) to the logits (N, V) of the next token, differentiable in them."""
        self._count(points.shape[0], points.shape[1])
        given = going_back(self, points)
        found = self._network(inputs_embeds=given, use_cache=False, logits_to_keep=1).logits[:, -1]
        return self._finite(found)

    def pushed(self, tokens: torch.Tensor, cache: Any) -> torch.Tensor:
        """Return the logits (N, V) behind one more token (N,), which the cache takes up."""
        return self._logits(tokens.to(self._device).unsqueeze(1), cache)

    def _logits(self, ids: torch.Tensor, cache: Any) -> torch.Tensor:
        """Return the logits (N, V) behind ids (N, L), which the cache takes up."""
        self._count(*ids.shape)
        with torch.no_grad():
            found = self._network(input_ids=ids, cache=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
        return self._finite(found)

    def _finite(self, logits: torch.Tensor) -> torch.Tensor:
        if not torch.isfinite(logits).all():
            raise UnexaminableError(f"the logits of {self._name} are not finite")
        return logits

    def _count(self, rows: int, length: int) -> None:
        self.sample_passes += rows
        self.token_passes += rows * length

    def _at_once(self, width: int, length: int) -> int:
        """Return how many rows of so many new tokens, and so many together, share a pass."""
        return max(1, min(MOST_TOKENS // width, _MOST_HELD // (self._held * length)))


@dataclass
class _Group:
    """Texts of one length."""

    numbers: torch.Tensor
    cache: Any
    logits: torch.Tensor


@dataclass
class Continued:
    """Several texts that are continued token by token, together."""

    network: NextTokens
    groups: list[_Group]
    _order: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        """Remember in which order the texts were given."""
        self._order = torch.cat([group.numbers for group in self.groups]).argsort()

    @property
    def logits(self) -> torch.Tensor:
        """Logits (N, V) of the token behind each text."""
        return torch.cat([group.logits for group in self.groups])[self._order]

    def push(self, tokens: torch.Tensor) -> None:
        """Put one token (N,) behind each text."""
        for group in self.groups:
            group.logits = self.network.pushed(tokens[group.numbers.to(tokens.device)], group.cache)


def _bytes_of_a_position(config: Any) -> int:
    """Return the bytes of keys and values that a cache holds of one token."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * width * _SINGLE)
