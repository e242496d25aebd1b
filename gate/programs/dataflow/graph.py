"""A classifier's graph as plain data: each value's operands, operator and size.

Sizes are worked out by the gate, never taken from the file.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["float", "int", "bool"]


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the graph: an input, a part of the state, or an operator's result."""

    name: str
    operator: str
    """Empty for inputs and state."""
    operands: tuple[str, ...]
    """Names of its source tensors, each once, in the order of the operator's arguments."""
    size: int
    """Count of its numbers: per sample, or in all for state."""
    kind: Kind
    pointwise: bool = False
    """Whether it is a convolution whose kernel covers one position."""


@dataclass(frozen=True)
class Graph:
    """A graph in the order in which it is computed."""

    inputs: tuple[Value, ...] = ()
    state: tuple[Value, ...] = ()
    """Parameters, buffers and constants."""
    values: tuple[Value, ...] = ()
    outputs: tuple[str, ...] = ()
    """Names of the outputs, logits first."""
    composed: str = ""
    """Composer of the layers, where the candidate brings no graph of its own."""
    refused: str = ""
    """Reason why the graph could not be worked out, or empty."""
