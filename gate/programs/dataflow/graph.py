"""A classifier's graph as plain data: which value is computed from which, by what, and how many numbers it holds.

Built by `gate.programs.dataflow.build` from the strict reader's program, read by the detector of graph structure.
Sizes are worked out by the gate, never taken from the file. Nothing here imports torch.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["float", "int", "bool"]


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the graph: an input, a part of the state, or what an operator yields."""

    name: str
    operator: str
    """Empty for inputs and state."""
    operands: tuple[str, ...]
    """The tensors that it is computed from, each once, in the order of the operator's arguments."""
    size: int
    """How many numbers it holds: per sample, or in all for state."""
    kind: Kind
    pointwise: bool = False
    """For a convolution: whether its kernel looks at one position alone."""


@dataclass(frozen=True)
class Graph:
    """A graph in the order in which it is computed."""

    inputs: tuple[Value, ...] = ()
    state: tuple[Value, ...] = ()
    """Parameters, buffers and constants."""
    values: tuple[Value, ...] = ()
    outputs: tuple[str, ...] = ()
    """The logits first."""
    composed: str = ""
    """Where the candidate brings no graph of its own: who composes its layers."""
    refused: str = ""
    """Why the graph could not be worked out, where it could not."""
