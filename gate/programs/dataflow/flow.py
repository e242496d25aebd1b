"""The values between a graph's input and its outputs, numbered in order, with depths, dominators and bottlenecks.

Vertex 0 stands for all inputs; every other vertex is a value that depends on the input and that an output depends on.
A vertex that dominates another lies on every way from the input to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from gate.programs.dataflow.graph import Graph, Value
from gate.programs.dataflow.operators import FILLS, FORM_OF_FIRST, FORM_OF_SECOND, FORM_ONLY, LAYERS, PRODUCTS


@dataclass(frozen=True, eq=False)
class Flow:
    """The live, input-dependent values of a graph, each with its predecessors among them."""

    values: tuple[Value, ...]
    before: tuple[tuple[int, ...], ...]
    """Source vertices, by vertex."""
    constants: tuple[int, ...]
    """Count of numbers in its operands that do not depend on the input, by vertex."""
    outputs: tuple[int, ...]

    @classmethod
    def of(cls, graph: Graph) -> "Flow":
        """Return the flow of a graph."""
        live = _live(graph)
        index = dict.fromkeys((value.name for value in graph.inputs), 0)
        fixed = {value.name: value.size for value in graph.state}
        values, constants = [_source(graph)], [0]
        before: list[tuple[int, ...]] = [()]
        for value in graph.values:
            content = _content(value)
            known = tuple(dict.fromkeys(index[name] for name in content if name in index))
            if known and value.name in live:
                index[value.name] = len(values)
                values.append(value)
                before.append(known)
                constants.append(sum(fixed.get(name, 0) for name in content if name not in index))
            elif not known:
                fixed[value.name] = value.size
        outputs = tuple(dict.fromkeys(index[name] for name in graph.outputs if name in index))
        return cls(tuple(values), tuple(before), tuple(constants), outputs)

    def __len__(self) -> int:
        return len(self.values)

    def is_layer(self, vertex: int) -> bool:
        """Tell whether a vertex is a layer with weights."""
        operator = self.values[vertex].operator
        return operator in LAYERS or (operator in PRODUCTS and self.constants[vertex] > 1)

    @cached_property
    def depth(self) -> tuple[int, ...]:
        """Most layers on a way from the input, itself included, by vertex."""
        depth = [0] * len(self)
        for vertex in range(1, len(self)):
            depth[vertex] = max(depth[source] for source in self.before[vertex]) + self.is_layer(vertex)
        return tuple(depth)

    @cached_property
    def bottleneck(self) -> tuple[int, ...]:
        """Upper bound of the numbers about a sample that can reach it, from the sizes on the way, by vertex."""
        narrow = [self.values[0].size] + [0] * (len(self) - 1)
        for vertex in range(1, len(self)):
            narrow[vertex] = min(self.values[vertex].size, sum(narrow[source] for source in self.before[vertex]))
        return tuple(narrow)

    @cached_property
    def dominators(self) -> "Dominators":
        """The tree of dominators."""
        return Dominators.of(self.before)

    @cached_property
    def layers(self) -> int:
        """Most layers on a way to the logits, up to the first bottleneck of one number for each class.

        Layers beyond that point decide nothing new, and could be added at will to make a model look deep.
        """
        if not self.outputs:
            return 0
        logits = self.outputs[0]
        classes = self.values[logits].size
        for vertex in reversed(self.dominators.chain(logits)):
            if self.values[vertex].size == classes and self.depth[vertex] > 0:
                return self.depth[vertex]
        return self.depth[logits]

    def ancestors(self, vertex: int, floor: int, outside: frozenset[int] = frozenset()) -> frozenset[int]:
        """Return the vertices above a floor that a vertex is computed from, itself included, but those outside."""
        found = {vertex} - outside if vertex > floor else set()
        waiting = [vertex] if found else []
        while waiting:
            for source in self.before[waiting.pop()]:
                if source > floor and source not in found and source not in outside:
                    found.add(source)
                    waiting.append(source)
        return frozenset(found)

    def weight(self, vertices: Iterable[int]) -> int:
        """Return how many weights the layers among these vertices have."""
        return sum(self.constants[vertex] for vertex in vertices if self.is_layer(vertex))


@dataclass(frozen=True)
class Dominators:
    """Immediate dominators, with jumps of powers of two that find two vertices' nearest common one quickly."""

    level: tuple[int, ...]
    jumps: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, before: tuple[tuple[int, ...], ...]) -> "Dominators":
        """Return the tree for vertices in an order in which every predecessor comes first."""
        level = [0] * len(before)
        height = max(1, len(before).bit_length())
        jumps = [[0] * len(before) for _ in range(height)]
        tree = cls.__new__(cls)
        object.__setattr__(tree, "level", level)
        object.__setattr__(tree, "jumps", jumps)
        for vertex in range(1, len(before)):
            parent = before[vertex][0]
            for source in before[vertex][1:]:
                parent = tree.nearest(parent, source)
            level[vertex] = level[parent] + 1
            jumps[0][vertex] = parent
            for power in range(1, height):
                jumps[power][vertex] = jumps[power - 1][jumps[power - 1][vertex]]
        return tree

    def immediate(self, vertex: int) -> int:
        """Return the nearest vertex that every way to a vertex passes."""
        return self.jumps[0][vertex]

    def nearest(self, left: int, right: int) -> int:
        """Return the nearest vertex that dominates both."""
        if self.level[left] < self.level[right]:
            left, right = right, left
        gap = self.level[left] - self.level[right]
        for power in range(gap.bit_length()):
            if gap >> power & 1:
                left = self.jumps[power][left]
        if left == right:
            return left
        for row in reversed(self.jumps):
            if row[left] != row[right]:
                left, right = row[left], row[right]
        return self.jumps[0][left]

    def chain(self, vertex: int) -> list[int]:
        """Return a vertex and all its dominators, from itself up to the input."""
        chain = [vertex]
        while chain[-1]:
            chain.append(self.jumps[0][chain[-1]])
        return chain


def _source(graph: Graph) -> Value:
    inputs = graph.inputs
    return Value("input", "", (), sum(value.size for value in inputs) or 1, inputs[0].kind if inputs else "float")


def _content(value: Value) -> tuple[str, ...]:
    """Return the operands whose content matters."""
    if value.operator in FORM_ONLY:
        return ()
    if value.operator in FORM_OF_SECOND:
        return value.operands[:1]
    if value.operator in FILLS or (value.operator in FORM_OF_FIRST and len(value.operands) > 1):
        return value.operands[1:]
    return value.operands


def _live(graph: Graph) -> frozenset[str]:
    """Return the names that an output depends on."""
    live = set(graph.outputs)
    for value in reversed(graph.values):
        if value.name in live:
            live.update(_content(value))
    return frozenset(live)
