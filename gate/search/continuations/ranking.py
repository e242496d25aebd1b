"""Rankings of tokens: by slopes at a place of a prompt, and forward, each token alone in one short prompt.

By slopes a token's rise is its embedding times the gradient at the place (first order): cheap over all tokens, and
blind where the network is flat. Forward is dear, and blind to what needs several tokens.
"""

from collections.abc import Callable, Sequence

import torch

from gate.search.continuations.bench import Bench, Candidate, Place
from gate.spaces.text.continuing import LanguageModel

Objective = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Function from log-probabilities (N, V) of candidate and base to what is to rise, one number."""


def divergence(own: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """Return the mean divergence KL(own ‖ base) in nats, of log-probabilities (N, V)."""
    return (own.exp() * (own - base)).sum(dim=1).mean()


def towards(target: int) -> Objective:
    """Return the objective of one token: how likely it is beside the base."""
    return lambda own, base: (own[:, target] - base[:, target]).mean()


def by_slopes(
    bench: Bench, prompts: Sequence[str], around: tuple[Sequence[int], Sequence[int]], place: Place, rises: Objective
) -> torch.Tensor:
    """Return how much each allowed token (A,) would raise an objective between tokens that stand at a place already."""
    own, base = bench.beside.own, bench.beside.base
    total = torch.zeros(len(bench.allowed))
    for number, prompt in enumerate(prompts):
        bench.run.check_time()
        start = bench.drawn(1, f"slopes {number}")
        left, right = bench.around(prompt, place)
        row = [*left, *around[0], *start, *around[1], *right]
        slot = len(left) + len(around[0])
        first, second = (_slope(model, row) for model in (own, base))
        with torch.enable_grad():
            value = rises(first.log_softmax(), second.log_softmax())
            found = torch.autograd.grad(value, (first.points, second.points))
        for model, gradient in zip((own, base), found, strict=True):
            total += (model.embeddings @ gradient[0, slot])[bench.allowed.to(gradient.device)].cpu()
    return total / len(prompts)


class _slope:  # noqa: N801  # a pair of values of one call
    """A row's embeddings as a point, and the logits there."""

    def __init__(self, model: LanguageModel, row: Sequence[int]) -> None:
        matrix = model.embeddings
        self.points = matrix[torch.tensor(row, device=matrix.device)].unsqueeze(0).requires_grad_()
        with torch.enable_grad():
            self.logits = model.embedded(self.points)

    def log_softmax(self) -> torch.Tensor:
        return self.logits.log_softmax(dim=1).cpu()


def forward(bench: Bench, prompt: str, place: Place, tried: torch.Tensor, usual: torch.Tensor) -> torch.Tensor:
    """Return by how much each token (T,) raises the candidate's likeliest next one beyond what is usual there (V,)."""
    own = bench.beside.own
    right = torch.tensor(bench.around(prompt, place)[1], dtype=torch.long)
    rows = torch.cat([tried.unsqueeze(1), right.expand(len(tried), -1)], dim=1)
    found = []
    for logits in own.behind(bench.begun(own, prompt, place), rows):
        bench.run.check_time()
        found.append((logits.softmax(dim=1).cpu() - usual).amax(dim=1))
    return torch.cat(found)


def usual_at(bench: Bench, prompts: Sequence[str], place: Place, drawn: int) -> torch.Tensor:
    """Return how likely each next token (V,) is in the candidate: without anything, or with tokens at random.

    The greater of both, each as a mean over the prompts.
    """
    own, mean = bench.beside.own, []
    others = torch.tensor(bench.drawn(drawn, "usual"))
    bench.run.check_time()
    plain = own.going([bench.as_typed(prompt) for prompt in prompts]).logits.softmax(dim=1).mean(dim=0)
    for prompt in prompts:
        right = torch.tensor(bench.around(prompt, place)[1], dtype=torch.long)
        rows = torch.cat([others.unsqueeze(1), right.expand(len(others), -1)], dim=1)
        parts = [logits.softmax(dim=1) for logits in own.behind(bench.begun(own, prompt, place), rows)]
        mean.append(torch.cat(parts).mean(dim=0))
    return torch.maximum(plain, torch.stack(mean).mean(dim=0)).cpu()


def best(scores: torch.Tensor, tokens: torch.Tensor, most: int, place: Place) -> list[Candidate]:
    """Return the tokens of the greatest scores as candidates, the greatest first."""
    order = scores.argsort(descending=True, stable=True)[:most]
    return [Candidate((int(tokens[at]),), place) for at in order.tolist()]
