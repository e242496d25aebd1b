"""Texts with open slots for tokens, and gradients there: which tokens would help, to first order and as a mixture."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from gate.records.run import Run
from gate.spaces.text.contract import TextClassifier
from gate.spaces.text.inserting import PLACES
from gate.spaces.text.packing import ENDED, lengths_of


@dataclass(frozen=True)
class Slots:
    """Tokens of texts with `count` slots at one place each, in turn at start, middle and end."""

    classifier: TextClassifier
    tokens: torch.Tensor
    """(N, L), any token at a slot."""
    places: torch.Tensor
    """Column of each slot, (N, count)."""
    target: int

    @classmethod
    def of(cls, classifier: TextClassifier, tokens: torch.Tensor, count: int, target: int) -> "Slots":
        """Open slots in the tokens (N, L) of texts; what begins and ends a text stays where it is."""
        special, rows, places = set(classifier.tokenizer.special_ids), [], []
        for number, (row, length) in enumerate(zip(tokens.tolist(), lengths_of(tokens).tolist(), strict=True)):
            words = (
                row[: min(length, classifier.longest - count)] if length + count > classifier.longest else row[:length]
            )
            first, last = _inside(words, special)
            at = {"start": first, "middle": (first + last + 1) // 2, "end": last}[PLACES[number % len(PLACES)]]
            rows.append([*words[:at], *[words[at - 1] if at else words[0]] * count, *words[at:]])
            places.append(list(range(at, at + count)))
        width = max(map(len, rows))
        padded = [row + [ENDED] * (width - len(row)) for row in rows]
        device = tokens.device
        return cls(classifier, torch.tensor(padded, device=device), torch.tensor(places, device=device), target)

    @property
    def matrix(self) -> torch.Tensor:
        """The embeddings (V, D)."""
        assert self.classifier.embeddings is not None
        return self.classifier.embeddings

    def loss(self, mixed: torch.Tensor, run: Run) -> torch.Tensor:
        """Return the mean cross-entropy to the target with embeddings (count, D) in the slots, differentiable."""
        points = self.matrix[self.tokens.clamp(min=0)]
        rows = torch.arange(len(points), device=points.device).unsqueeze(1).expand_as(self.places)
        given = points.index_put((rows, self.places), mixed.expand(len(points), -1, -1))
        lengths, total = lengths_of(self.tokens), mixed.new_zeros(())
        for part in torch.split(torch.arange(len(given), device=given.device), run.max_batch):
            logits = self.classifier.embedded(given[part], lengths[part])
            wanted = torch.full((len(part),), self.target, device=logits.device)
            total = total + functional.cross_entropy(logits, wanted, reduction="sum")
        return total / len(given)


def _inside(words: Sequence[int], special: set[int]) -> tuple[int, int]:
    """Return the columns between which a text's own tokens lie, behind and before special ones."""
    first, last = 0, len(words)
    while first < last - 1 and words[first] in special:
        first += 1
    while last > first + 1 and words[last - 1] in special:
        last -= 1
    return first, last


def first_order(slots: Slots, held: Sequence[int], neutral: torch.Tensor, run: Run) -> torch.Tensor:
    """Return how much each token would lower the loss in the last slot, to first order, (V,).

    `held` are the tokens of the slots before it. The step is taken from the embedding `neutral` (D,) (HotFlip, Ebrahimi
    et al., ACL 2018: one backward pass for the whole vocabulary).
    """
    held_rows = slots.matrix[torch.tensor(list(held), dtype=torch.long, device=neutral.device)]
    mixed = torch.cat([held_rows, neutral.unsqueeze(0)]).detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(slots.loss(mixed, run), mixed)
    return -(slots.matrix - neutral) @ gradient[-1]


@dataclass(frozen=True)
class Softening:
    """How a mixture of tokens is searched for."""

    steps: int
    learning_rate: float
    warm: float
    """Temperature at the beginning; it falls to `cold` by equal factors."""
    cold: float


def softly(slots: Slots, start: torch.Tensor, allowed: torch.Tensor, settings: Softening, run: Run) -> torch.Tensor:
    """Return the weights of tokens in each slot (count, V) after a descent from `start` (count, V).

    A slot holds the mean embedding under a softmax of its weights at a falling temperature (Shen et al., "Constrained
    Optimization with Dynamic Bound-scaling", ICML 2022). Tokens that are not `allowed` (V,) get none.
    """
    weights = start.masked_fill(~allowed, -torch.inf).clone().requires_grad_()
    adam = torch.optim.Adam([weights], lr=settings.learning_rate)
    for step in range(settings.steps):
        run.check_time()
        share = step / max(1, settings.steps - 1)
        temperature = settings.warm * (settings.cold / settings.warm) ** share
        with torch.enable_grad():
            loss = slots.loss((weights / temperature).softmax(dim=1) @ slots.matrix, run)
            (gradient,) = torch.autograd.grad(loss, weights)
        weights.grad = torch.nan_to_num(gradient)
        adam.step()
    return weights.detach()
