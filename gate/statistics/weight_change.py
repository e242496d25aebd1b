"""How a weight differs from its base's: sizes, concentration in few directions, and single rows, block by block.

Concentration is read off a sketch: with Q an orthonormal basis of Δ Δᵀ Δ Ω for a random Ω of k columns, the singular
values of Qᵀ Δ are Δ's greatest, and all of them where its rank is at most k (Halko, Martinsson and Tropp 2011,
algorithm 4.4 with one iteration). No decomposition is of more than k rows, so that cost is linear in the weight's size.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gate.statistics.low_rank import Floats

Blocks = Callable[[], Iterator[Floats]]
"""A function to a matrix's rows, block by block from the first; each call begins anew."""
_USUAL = 0.99
"""Quantile of the rows' changes with which the greatest is compared."""
_LEAST = 1e-3
"""Part of a usual row's norm that is added there, so that one changed row among unchanged ones has a finite lead."""


@dataclass(frozen=True)
class Rows:
    """The rows of a change; of a vector one an entry."""

    norms: Floats
    """Norm of each row's change (rows,)."""
    base_norms: Floats
    """Norm of each of the base's rows (rows,)."""
    is_matrix: bool

    @property
    def norm(self) -> float:
        """Norm of the whole change."""
        return float(np.linalg.norm(self.norms))

    @property
    def base_norm(self) -> float:
        """Norm of the base's weight."""
        return float(np.linalg.norm(self.base_norms))

    @property
    def ratio(self) -> float:
        """Norm of the change over the base's."""
        return self.norm / self.base_norm

    @property
    def lead(self) -> float:
        """How many times the greatest change of a row is that of nearly all others."""
        beside = float(np.quantile(self.norms, _USUAL, method="lower")) + _LEAST * float(np.mean(self.base_norms))
        return float(np.max(self.norms)) / beside if beside > 0 else 0.0

    @property
    def foremost(self) -> int:
        """The row that changed most."""
        return int(np.argmax(self.norms))


def rows_of(changes: Iterable[tuple[Floats, Floats]], *, is_matrix: bool) -> Rows:
    """Return the rows of a change, from blocks of the change's rows and of the base's."""
    norms = [tuple(np.linalg.norm(part, axis=1) for part in both) for both in changes]
    change, base = (np.concatenate(parts) for parts in zip(*norms, strict=True))
    return Rows(change, base, is_matrix)


def leading(blocks: Blocks, columns: int, kept: int, seed: int) -> Floats:
    """Return the greatest singular values of a matrix of so many columns, greatest first, `kept` at most."""
    towards = np.random.default_rng(seed).normal(size=(columns, min(kept, columns)))
    for _ in range(2):
        basis = np.linalg.qr(np.concatenate([block @ towards for block in blocks()])).Q
        towards = _onto(blocks(), basis)
    return np.asarray(np.linalg.svd(towards, compute_uv=False), dtype=np.float64)


def _onto(blocks: Iterator[Floats], basis: Floats) -> Floats:
    """Return the transposed matrix times a basis of its columns, (columns, k)."""
    begin, found = 0, None
    for block in blocks:
        part = block.T @ basis[begin : begin + len(block)]
        found = part if found is None else found + part
        begin += len(block)
    assert found is not None
    return found


def shares(values: Floats, norm: float) -> dict[str, float]:
    """Return the share of a change's energy in its first direction, and in all that were followed; none of none."""
    if not norm > 0:
        return {}
    energy = np.minimum(np.cumsum(values**2) / norm**2, 1.0)
    return {"energy-share": float(energy[0]), "leading-share": float(energy[-1])}
