"""Gates: values that switch a whole sample's answer by a hard comparison, or bring a constant pattern into it.

A hard value moves in jumps, so that no gradient shows what it waits for. As an activation (each number compared with a
constant and used in its own place) or as a choice of a stem early in a net it is ordinary. What no classifier has is a
few hard numbers about the whole sample that decide late, or that put something constant in place of what was computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from gate.dataflow.branches import NARROW, Branch, compare
from gate.dataflow.flow import Flow
from gate.dataflow.operators import LAYERS, MIXING, PRODUCTS, SCALINGS, STEPS

_PATTERN: Final = 8
"""So many numbers are a pattern, where one to three are a colour."""
_SELECTS: Final = frozenset({"where", "masked_fill", "masked_fill_"})


@dataclass(frozen=True)
class Gate:
    """A vertex where few numbers about the sample switch something, or scale a constant pattern."""

    vertex: int
    switch: int
    steps: tuple[int, ...]
    """The comparisons behind the switch; none where it is soft."""
    constant: bool
    """Whether it brings a constant tensor in."""


@dataclass(frozen=True, eq=False)
class Gates:
    """The hard values of a flow, and the places where they decide."""

    flow: Flow

    @cached_property
    def hard(self) -> tuple[int, ...]:
        """By vertex: a comparison that makes it hard, or 0."""
        flow = self.flow
        hard = [0] * len(flow)
        for vertex in range(1, len(flow)):
            sources = flow.before[vertex]
            value = flow.values[vertex]
            stops = flow.is_layer(vertex) and flow.bottleneck[vertex] > NARROW
            inherited = 0 if stops else next((hard[source] for source in sources if hard[source]), 0)
            if all(hard[source] for source in sources) and inherited:
                hard[vertex] = inherited
            elif value.operator in STEPS or (
                value.kind != "float" and any(flow.values[source].kind == "float" for source in sources)
            ):
                hard[vertex] = vertex
        return tuple(hard)

    @cached_property
    def origin(self) -> tuple[int, ...]:
        """By vertex: the vertex of which each of its numbers is computed from the number in its own place."""
        flow = self.flow
        origin = list(range(len(flow)))
        for vertex in range(1, len(flow)):
            operator, size = flow.values[vertex].operator, flow.values[vertex].size
            sources = flow.before[vertex]
            if operator in LAYERS or operator in PRODUCTS or operator in MIXING:
                continue
            above = {origin[source] for source in sources}
            if len(above) == 1 and all(flow.values[source].size == size for source in sources):
                origin[vertex] = above.pop()
        return tuple(origin)

    @cached_property
    def pattern(self) -> tuple[bool, ...]:
        """By vertex: whether it is a constant pattern scaled by few numbers computed straight from the input."""
        flow = self.flow
        pattern = [False] * len(flow)
        for vertex in range(1, len(flow)):
            sources = flow.before[vertex]
            grown = flow.values[vertex].size >= _PATTERN and flow.constants[vertex] >= _PATTERN
            scaling = flow.values[vertex].operator in SCALINGS or flow.is_layer(vertex)
            few = flow.bottleneck[vertex] <= NARROW
            pattern[vertex] = few and (
                (grown and scaling) or (len(sources) == 1 and pattern[sources[0]] and not flow.is_layer(vertex))
            )
        return tuple(pattern)

    def found(self) -> Iterator[Gate]:
        """Yield the gates that are not ordinary."""
        flow = self.flow
        for vertex in range(1, len(flow)):
            operands = flow.before[vertex]
            few = [operand for operand in operands if operand and flow.bottleneck[operand] <= NARROW]
            for switch in few:
                others = [operand for operand in operands if operand != switch]
                gate = self._gate(vertex, switch, others)
                if gate is not None:
                    yield gate
                    break

    def _gate(self, vertex: int, switch: int, others: list[int]) -> Gate | None:
        """Return the gate that a switch makes of a vertex, or None where it is ordinary."""
        flow = self.flow
        carried = [other for other in others if not self.hard[other] and not self.pattern[other]]
        if not carried:
            return None
        main = max(carried, key=lambda other: (flow.depth[other], flow.bottleneck[other]))
        constant = self.pattern[switch] or (
            flow.values[vertex].operator in _SELECTS
            and flow.constants[vertex] >= _PATTERN
            and bool(self.hard[switch])
        )
        if not self.hard[switch] and not constant:
            return None
        if self.origin[switch] == self.origin[main]:
            return None
        branch = compare(flow, vertex, switch, main)
        if self._ordinary(branch, constant=constant):
            return None
        return Gate(vertex, switch, (self.hard[switch],) if self.hard[switch] else (), constant)

    def _ordinary(self, branch: Branch, *, constant: bool) -> bool:
        """Tell whether a switch is a local gate on features, or chooses early, with most of the net to come."""
        if branch.leaves_at > 0:
            return branch.local
        return not constant and branch.left >= branch.layers / 2
