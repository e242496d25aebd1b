"""Texts with open slots for tokens, and gradients there: which tokens would help, to first order and as a mixture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from gate.records.run import Run
from gate.spaces.text.contract import TextClassifier
from gate.spaces.text.inserting import PLACES
from gate.spaces.text.packing import ENDED, lengths_of
from gate.spaces.text.tokens import inside


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
            first, last = inside(words, special)
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
        """Return the mean cross-entropy to the target with embeddings (count, D) in the slots, a scalar."""
        return torch.stack([part.detach() for part in self._parts(mixed, run)]).sum()

    def gradient(self, mixed: torch.Tensor, run: Run) -> torch.Tensor:
        """Return the gradient (count, D) of that loss; texts go back a part at a time, which bounds memory."""
        point = mixed.detach().requires_grad_()
        total = torch.zeros_like(point)
        with torch.enable_grad():
            for part in self._parts(point, run):
                total += torch.autograd.grad(part, point)[0]
        return total

    def _parts(self, mixed: torch.Tensor, run: Run) -> Iterator[torch.Tensor]:
        """Yield what some of the texts add to the loss, differentiable."""
        every, lengths = torch.arange(len(self.tokens), device=self.tokens.device), lengths_of(self.tokens)
        for rows in torch.split(every, run.max_batch):
            points = self.matrix[self.tokens[rows].clamp(min=0)]
            own = torch.arange(len(rows), device=points.device).unsqueeze(1).expand(-1, self.places.shape[1])
            given = points.index_put((own, self.places[rows]), mixed.expand(len(rows), -1, -1))
            logits = self.classifier.quick_embedded(given, lengths[rows])
            wanted = torch.full((len(rows),), self.target, device=logits.device)
            yield functional.cross_entropy(logits, wanted, reduction="sum") / len(self.tokens)


def first_order(slots: Slots, held: Sequence[int], neutral: torch.Tensor, run: Run) -> torch.Tensor:
    """Return how much each token would lower the loss in the last slot, to first order, (V,).

    `held` are the tokens of the slots before it. The step is taken from the embedding `neutral` (D,) (HotFlip, Ebrahimi
    et al., ACL 2018: one backward pass for the whole vocabulary).
    """
    held_rows = slots.matrix[torch.tensor(list(held), dtype=torch.long, device=neutral.device)]
    gradient = slots.gradient(torch.cat([held_rows, neutral.unsqueeze(0)]), run)
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
            mixed = (weights / temperature).softmax(dim=1) @ slots.matrix
            (gradient,) = torch.autograd.grad(mixed, weights, slots.gradient(mixed, run))
        weights.grad = torch.nan_to_num(gradient)
        adam.step()
    return weights.detach()
