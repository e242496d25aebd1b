"""Quicker forms of a network of tokens, and of its rest behind the embedding, for results that are measured again.

They are chosen on the beginnings of a few clean texts. Texts of lengths at which nothing shows that they leave each
other alone go through the network as it was read.
"""

from dataclasses import dataclass
from typing import Final

import torch

from gate.programs import Batched
from gate.programs.quick import ANSWERED, Quick, choose, told
from gate.spaces.text.packing import lengths_of

AT_ONCE: Final = 1024
"""Tokens that a CPU's caches hold between the layers of a small encoder; more at once are slower."""


@dataclass(frozen=True)
class Form:
    """A quicker form of a program of ids or embeddings (N, L, …), and mask (N, L)."""

    body: Batched
    quick: Quick

    def __call__(self, *given: torch.Tensor) -> torch.Tensor | None:
        """Return the scores, (N, K) or (N,); None where the texts may not run together."""
        taken = given[: len(self.body.program.inputs)]
        return self.quick(*taken) if self.body.leave_each_other_alone(*taken) else None


@dataclass(frozen=True)
class TokenForms:
    """What there is of quicker forms."""

    whole: Form | None
    rest: Form | None

    def __str__(self) -> str:
        """Say how passes run, for the report."""
        forward = told(self.whole.quick.forward) if self.whole else "float32 (as read)"
        slopes = told(self.rest.quick.slopes) if self.rest else "float32 (as read)"
        return f"{forward}; with gradients {slopes}"


def token_forms(network: object, rest: object, matrix: torch.Tensor | None, tokens: torch.Tensor) -> TokenForms | None:
    """Return the quicker forms of a network, and of its rest behind `matrix`, on clean texts (N, L); None without any.

    Only programs have forms. They are tried on the beginnings, of equal length, of texts at least as long as most.
    """
    ids = beginnings(tokens)
    mask = torch.ones_like(ids)
    body = getattr(network, "body", None)
    whole = _form(body, ids, mask)
    behind = _form(rest, matrix[ids].detach(), mask) if matrix is not None else None
    return None if whole is None and behind is None else TokenForms(whole, behind)


def beginnings(tokens: torch.Tensor) -> torch.Tensor:
    """Return the first tokens (n, l) of a few texts (N, L), as many of each as half of all texts have."""
    lengths = lengths_of(tokens)
    length = max(1, int(lengths.median()))
    return tokens[lengths >= length][:ANSWERED, :length].contiguous()


def _form(body: object, *given: torch.Tensor) -> Form | None:
    if not isinstance(body, Batched):
        return None
    taken = given[: len(body.program.inputs)]
    if not body.leave_each_other_alone(*taken):
        return None
    quick = choose(body, body.program.output_names[0], *taken, at_once=AT_ONCE)
    return None if quick is None else Form(body, quick)
