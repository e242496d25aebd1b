"""A `TextClassifier` that runs a network of token ids and their mask, and the rest of it behind its embedding.

Texts meet in one pass only where they have equally many tokens: no text is padded, and each gets the answer that it
gets by itself. The order by length keeps passes large, since the same few texts are asked over and over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import torch

from gate.records.declarations import Space
from gate.records.errors import UnexaminableError
from gate.spaces.text.contract import Tokenizer
from gate.spaces.text.packing import by_length, in_parts, lengths_of, packed, stacked
from gate.worker.loading.one_logit import is_one_number, two_scores
from gate.worker.loading.passes import going_back
from gate.worker.loading.scores import check_logits, in_float32, rows
from gate.worker.loading.token_forms import AT_ONCE, Form, TokenForms, token_forms

EXAMPLE: Final = 8
"""Texts on which a network is tried."""
MOST_TOKENS: Final = 16_384
"""Tokens of one pass, which bounds memory."""
ROOM: Final = 16
"""Tokens, of texts that are cut, that are left for words that are put in, where a quarter of the length is more."""
_ALIKE: Final = 1e-3
"""Greatest difference between the network and its two parts, as a share of the largest score."""


class Network(Protocol):
    """A network that maps ids and mask (N, L) to logits."""

    feature_layer: str
    """Name of the layer whose input `activations` returns; empty where none was found."""

    def logits(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return its scores, (N, K), or one number a text."""
        ...

    def activations(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return its scores and the activations (N, D) before the last layer."""
        ...

    def state(self) -> Mapping[str, torch.Tensor]:
        """Return parameters and buffers by name."""
        ...


class Rest(Protocol):
    """The network behind its embedding."""

    def __call__(self, embeddings: torch.Tensor, mask: torch.Tensor, /) -> torch.Tensor:
        """Map embeddings (N, L, D) and mask (N, L) to what the whole network returns."""
        ...


class Split(Protocol):
    """A network in two parts: a matrix in which tokens are looked up, and the rest."""

    @property
    def matrix(self) -> torch.Tensor:
        """One row for each token, (V, D)."""
        ...

    @property
    def program(self) -> Rest:
        """The rest."""
        ...


@dataclass(frozen=True)
class TextModel:
    """What a model of tokens has beside its program."""

    network: Network
    tokenizer: Tokenizer
    longest: int
    """Most tokens of a text that it takes."""
    split: Split | None = None
    class_names: Mapping[int, str] = field(default_factory=dict)
    """Names of the classes by its configuration, by which labels are read that are names."""


@dataclass
class TokenClassifier:
    """A classifier of tokens (N, L), -1 after each text's end."""

    network: Network
    tokenizer: Tokenizer
    longest: int
    """Most tokens that it is given of a text."""
    split: Split | None
    device: str = "cpu"
    num_classes: int = field(default=0, init=False)
    feature_layer: str = field(default="", init=False)
    """Name of the layer whose input `activations` returns."""
    one_logit: bool = field(default=False, init=False)
    """Whether the network yields one number a text, read as two classes."""
    sample_passes: int = field(default=0, init=False)
    gradient_passes: int = field(default=0, init=False)
    token_passes: int = field(default=0, init=False)

    forms: TokenForms | None = field(default=None, init=False)
    """Quicker forms for passes whose answers are measured again; None until they are chosen."""

    @property
    def arithmetic(self) -> str:
        """How `quick_logits` runs the network; empty where as `logits` does."""
        return str(self.forms or "")

    @property
    def space(self) -> Space:
        """Tokens."""
        return "tokens"

    @property
    def only_alone(self) -> bool:
        """Whether texts ran one at a time, at any length so far, and a consumer may run them together."""
        return bool(getattr(self.network, "only_alone", False))

    @property
    def squashed(self) -> bool:
        """Whether what is served of one number a text is its sigmoid, in place of which the logit is measured."""
        return bool(getattr(self.network, "squashed", False))

    @property
    def embeddings(self) -> torch.Tensor | None:
        """The matrix (V, D) in which tokens are looked up."""
        return None if self.split is None else self.split.matrix

    @classmethod
    def of(
        cls, network: Network, tokenizer: Tokenizer, longest: int, split: Split | None, example: Sequence[str]
    ) -> "TokenClassifier":
        """Try a network on a few texts: what it scores, and whether its two parts give the same."""
        made = cls(network, tokenizer, longest, split, str(next(iter(network.state().values())).device))
        made.feature_layer = network.feature_layer
        tokens = made.tokens(example[:EXAMPLE])
        with torch.no_grad():
            ((_, alone),) = made._groups(tokens[:1])
            made.one_logit = is_one_number(network.logits(*alone), 1)
            made.num_classes = check_logits(made, tokens)
            made._require_same_parts(tokens)
        return made

    def choose_forms(self, tokens: torch.Tensor) -> None:
        """Choose quicker forms on clean tokens (N, L); a small network, and one of another type, keeps its own."""
        rest = None if self.split is None else self.split.program
        self.forms = token_forms(self.network, rest, self.embeddings, tokens)

    def tokens(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the tokens (N, L) of texts; one of which nothing is left is refused, and so are ids of no token."""
        parts = [packed(*self.tokenizer.encode(list(part), self.longest)) for part in in_parts(texts)]
        tokens = stacked(parts).to(self.device)
        if not (lengths_of(tokens) > 0).all():
            row = int(lengths_of(tokens).argmin())
            raise UnexaminableError(f"the tokenizer makes no token of the text {texts[row]!a:.60}")
        if self.split is not None and int(tokens.max()) >= len(self.split.matrix):
            size = len(self.split.matrix)
            raise UnexaminableError(
                f"the tokenizer gives the id {int(tokens.max())}, and the model's embedding has {size} rows: they do "
                "not belong together"
            )
        return tokens

    def cut(self, texts: Sequence[str], tokens: torch.Tensor) -> tuple[int, ...]:
        """Return the rows of texts, by their tokens (N, L), of which the model is given the beginning alone."""
        full = (lengths_of(tokens) >= self.longest).nonzero().flatten().tolist()
        if not full:
            return ()
        _, mask = self.tokenizer.encode([texts[row] for row in full], self.longest + 1)
        longer = (mask.ne(0).sum(dim=1) > self.longest).tolist()
        return tuple(row for row, cut in zip(full, longer, strict=True) if cut)

    def beginnings(self, texts: Sequence[str], rows: Sequence[int]) -> tuple[str, ...]:
        """Return texts, of those at some rows a beginning that leaves room for what is put in: it is never cut off."""
        most = self.longest - min(ROOM, self.longest // 4)
        begun = {row: self.tokenizer.beginning(texts[row], most) for row in rows}
        return tuple(begun.get(row) or text for row, text in enumerate(texts))

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Map tokens (N, L) to logits (N, K)."""
        found = [(group, self._scores(self.network.logits(*given))) for group, given in self._groups(x)]
        return _joined(found)

    def scores(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Map ids and mask (N, L) to logits (N, K) as they are, padding included, and count them as passed."""
        self._count(ids, ids.shape[1])
        return self._scores(self.network.logits(ids, mask))

    def quick_logits(self, x: torch.Tensor) -> torch.Tensor:
        """Map tokens (N, L) to logits (N, K) by the form that was chosen."""
        if self.forms is None or self.forms.whole is None:
            return self.logits(x)
        found = []
        for group, given in self._groups(x, self._most_at_once()):
            scores = self.forms.whole(*given)
            found.append((group, self._scores(self.network.logits(*given) if scores is None else scores)))
        return _joined(found)

    def activations(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map tokens (N, L) to logits (N, K) and the activations (N, D) before the last layer."""
        if not self.feature_layer:
            raise UnexaminableError("no last linear layer was found in the graph; there are no penultimate activations")
        found = [(group, self.network.activations(*given)) for group, given in self._groups(x)]
        logits = _joined([(group, self._scores(scores)) for group, (scores, _) in found])
        return logits, _joined([(group, features.float()) for group, (_, features) in found])

    def embedded(self, points: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Map embeddings (N, L, D) of texts of so many tokens (N,) to logits (N, K), differentiable in them."""
        return self._behind(points, lengths, None, MOST_TOKENS)

    def quick_embedded(self, points: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Do the same by the form that was chosen."""
        quick = self.forms.rest if self.forms else None
        return self._behind(points, lengths, quick, self._most_at_once() if quick else MOST_TOKENS)

    def _behind(self, points: torch.Tensor, lengths: torch.Tensor, quick: Form | None, most: int) -> torch.Tensor:
        assert self.split is not None
        found = []
        for group in by_length(lengths, most):
            length = int(lengths[group[0]])
            self._count(group, length)
            mask = torch.ones(len(group), length, dtype=torch.int64, device=points.device)
            given = going_back(self, points[group, :length]).to(self.split.matrix.dtype)
            scores = None if quick is None else quick(given, mask)
            found.append((group, self._scores(self.split.program(given, mask) if scores is None else scores)))
        return _joined(found)

    def _most_at_once(self) -> int:
        """Return the tokens of one pass of a quick form."""
        return AT_ONCE if self.device == "cpu" else MOST_TOKENS

    def _groups(
        self, x: torch.Tensor, most: int | None = None
    ) -> list[tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]]:
        """Return rows of equal lengths, each with ids and mask without padding, and count them as passed."""
        lengths, found = lengths_of(x), []
        for group in by_length(lengths, most or MOST_TOKENS):
            length = int(lengths[group[0]])
            self._count(group, length)
            ids = x[group, :length].contiguous()
            found.append((group, (ids, torch.ones_like(ids))))
        return found

    def _count(self, group: torch.Tensor, length: int) -> None:
        self.sample_passes += len(group)
        self.token_passes += len(group) * length

    def _scores(self, scores: torch.Tensor) -> torch.Tensor:
        narrow = in_float32(rows(scores)) if scores.ndim > 1 else scores.float()
        return two_scores(narrow) if self.one_logit else narrow

    def _require_same_parts(self, tokens: torch.Tensor) -> None:
        """Refuse a split whose parts together score otherwise than the network."""
        if self.split is None:
            return
        whole = self.logits(tokens)
        parts = self.embedded(self.split.matrix[tokens.clamp(min=0)], lengths_of(tokens))
        if not torch.allclose(whole, parts, rtol=_ALIKE, atol=_ALIKE * max(1e-6, float(whole.abs().max()))):
            raise UnexaminableError("the model gives other scores behind its embedding than as a whole")


def _joined(found: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Return the parts of all groups in the order of the rows, differentiable in each."""
    order = torch.cat([group for group, _ in found]).argsort()
    return torch.cat([part for _, part in found])[order]
