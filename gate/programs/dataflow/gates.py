"""Gates: values that switch a whole sample's answer by a hard comparison, or bring a constant pattern into it.

A hard value moves in jumps: no gradient shows what it waits for. As an activation (each number compared with a
constant and used in its own place) or as a choice of a stem early in a net it is ordinary. What no classifier has is a
few hard numbers about the whole sample that decide late, or that put something constant in place of what was computed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from gate.programs.dataflow.branches import MAX_STEPS, NARROW, Branch, compare
from gate.programs.dataflow.flow import Flow
from gate.programs.dataflow.operators import LAYERS, MIXING, PRODUCTS, SCALINGS, STEPS
from gate.records.errors import UnexaminableError

_PATTERN: Final = 8
"""Fewest numbers that are a pattern; one to three are a colour."""
_NONE, _BY_LAYER, _BY_PRODUCT = 0, 1, 2
_SELECTS: Final = frozenset({"where", "masked_fill", "masked_fill_"})


@dataclass(frozen=True)
class Gate:
    """A vertex where few numbers about the sample switch something, or scale a constant pattern."""

    vertex: int
    switch: int
    step: int
    """Vertex of a comparison behind the switch; 0 where it is soft."""
    constant: bool
    """Whether it brings a constant tensor in."""


@dataclass(frozen=True, eq=False)
class _Gates:
    """The hard values of a flow, and the places where they decide."""

    flow: Flow

    @cached_property
    def hard(self) -> tuple[int, ...]:
        """Comparison that makes it hard, or 0, by vertex."""
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
        """Vertex from whose numbers its own are computed place by place, by vertex."""
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
    def pattern(self) -> tuple[int, ...]:
        """Way in which few numbers scale a constant pattern (none, by a layer, by a product), by vertex."""
        flow = self.flow
        pattern = [_NONE] * len(flow)
        for vertex in range(1, len(flow)):
            sources = flow.before[vertex]
            if flow.bottleneck[vertex] > NARROW:
                continue
            inherited = max(pattern[source] for source in sources)
            grown = flow.values[vertex].size >= _PATTERN and flow.constants[vertex] >= _PATTERN
            if grown and flow.is_layer(vertex):
                pattern[vertex] = _BY_LAYER
            elif grown and inherited == _NONE and flow.values[vertex].operator in SCALINGS:
                pattern[vertex] = _BY_PRODUCT
            elif len(sources) == 1 and flow.values[vertex].size >= _PATTERN:
                pattern[vertex] = inherited
        return tuple(pattern)

    def found(self, tick: Callable[[], None]) -> Iterator[Gate]:
        """Yield the gates that are not ordinary; `tick` is called at every vertex."""
        flow, steps = self.flow, 0
        for vertex in range(1, len(flow)):
            tick()
            operands = flow.before[vertex]
            carried = [operand for operand in operands if not self.hard[operand] and not self.pattern[operand]]
            if not carried or len(operands) < 2:
                continue
            main = max(carried, key=lambda other: (flow.depth[other], flow.bottleneck[other]))
            for switch in operands:
                if switch != main and flow.bottleneck[switch] <= NARROW and self._may_switch(vertex, switch, main):
                    steps += vertex - flow.dominators.immediate(vertex)
                    if steps > MAX_STEPS:
                        raise UnexaminableError("the graph has too many comparisons to be explained")
                    if gate := self._gate(vertex, switch, main):
                        yield gate
                        break

    def _constant(self, vertex: int, switch: int) -> int:
        """Return whether a switch brings a constant tensor in, and how."""
        brought = self.flow.values[vertex].operator in _SELECTS and self.flow.constants[vertex] >= _PATTERN
        return _BY_PRODUCT if brought and self.hard[switch] else self.pattern[switch]

    def _may_switch(self, vertex: int, switch: int, main: int) -> bool:
        """Tell whether a value is hard or a constant pattern, and no activation of what it meets."""
        matters = self.hard[switch] or self._constant(vertex, switch) != _NONE
        return bool(matters) and self.origin[switch] != self.origin[main]

    def _gate(self, vertex: int, switch: int, main: int) -> Gate | None:
        """Return the gate that a switch makes of a vertex, or None where it is ordinary."""
        constant = self._constant(vertex, switch)
        if _ordinary(compare(self.flow, vertex, switch, main), constant):
            return None
        return Gate(vertex, switch, self.hard[switch], constant=constant != _NONE)


def _ordinary(branch: Branch, constant: int) -> bool:
    """Tell whether a switch is a local gate on features, or chooses early between computed values."""
    if constant == _BY_PRODUCT:
        return False
    if branch.starts_at > 0:
        return branch.local
    return constant == _NONE and branch.left >= branch.layers / 2


def gates(flow: Flow, tick: Callable[[], None] = lambda: None) -> Iterator[Gate]:
    """Yield the gates that no classifier has, in the order of the graph; `tick` may raise to end the search."""
    yield from _Gates(flow).found(tick)
