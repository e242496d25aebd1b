"""Branches that go from the input to the logits past the bulk of the layers, and the reasons that explain one.

At every vertex where values meet, each is compared with the strongest of the others. What it does not share with that
one is its own part: its operations, its layers, and the values where it leaves the common way.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from gate.programs.dataflow.flow import Flow
from gate.records.errors import UnexaminableError

NARROW: Final = 4
"""Most numbers about a sample that are a decision about it, not features of it."""
MAX_STEPS: Final = 5_000_000
"""Most steps of the search for branches' own parts; a graph that needs more is too intricate to explain."""
_WITHIN_A_BLOCK: Final = 2
_WITHIN_A_STAGE: Final = 4
_PEER_LAYERS: Final = 0.5
_PEER_WEIGHTS: Final = 0.25


@dataclass(frozen=True)
class Branch:
    """One of the values that meet at a vertex, beside the strongest of the others."""

    join: int
    operand: int
    trunk: int
    """Vertex of the other value."""
    own: frozenset[int]
    """Vertices that only this value is computed from."""
    own_layers: int
    own_weights: int
    trunk_weights: int
    """Weights of the layers that only the other value is computed from."""
    leaves_at: int
    """Least depth, in layers, among the values where the own part begins."""
    starts_at: int
    """Depth of the nearest value that both are wholly computed from."""
    passed: int
    """Layers that the other value has passed since."""
    left: int
    """Layers that follow, up to the decision."""
    bottleneck: int
    layers: int
    """Layers of the whole model."""
    pointwise: bool
    """Whether its own layers look at one position each."""

    @property
    def peers(self) -> bool:
        """Whether the two are of one kind, as two stems, or two nets whose outputs are averaged."""
        layers, weights = (self.own_layers, self.passed), (self.own_weights, self.trunk_weights)
        return min(layers) >= _PEER_LAYERS * max(layers) and min(weights) >= _PEER_WEIGHTS * max(weights)

    @property
    def local(self) -> bool:
        """Whether it skips only a block and layers follow, as with gates and shortcuts inside a net."""
        if self.left < 1:
            return False
        if self.leaves_at > 0:
            return self.passed <= max(_WITHIN_A_BLOCK, min(self.layers // 4, _WITHIN_A_STAGE))
        return self.passed <= min(self.left / 2, _WITHIN_A_STAGE)

    @property
    def explained(self) -> bool:
        """Whether a classifier has such branches."""
        if self.passed < 1 or self.local or self.peers:
            return True
        if self.bottleneck <= NARROW:
            return False
        if 2 * self.passed < self.layers and self.left >= 1:
            return True
        if self.own_layers == 0:
            features = self.leaves_at > 0 and self.left >= 1
            return features or self.left >= max(2, self.layers / 3)
        if self.pointwise and self.own_layers == 1 and self.leaves_at > 0 and self.left >= 1:
            return True
        return self.leaves_at >= max(2, self.layers / 4) and self.left >= 1


def unexplained(flow: Flow, tick: Callable[[], None] = lambda: None) -> Iterator[Branch]:
    """Yield the branches for which no reason is known, in order; `tick` may raise to end the search."""
    for branch in branches(flow):
        tick()
        if not branch.explained:
            yield branch


def branches(flow: Flow) -> Iterator[Branch]:
    """Yield the branches that pass over at least one layer of the value that they meet."""
    steps = 0
    for join in range(1, len(flow)):
        operands = flow.before[join]
        if len(operands) < 2:
            continue
        start = flow.dominators.immediate(join)
        trunk = max(operands, key=lambda vertex: (flow.depth[vertex], flow.bottleneck[vertex]))
        if flow.depth[trunk] <= flow.depth[start]:
            continue
        trunk_region = flow.ancestors(trunk, start)
        for operand in operands:
            if operand != trunk:
                branch = compare(flow, join, operand, trunk, trunk_region)
                steps += len(trunk_region) + len(branch.own)
                if steps > MAX_STEPS:
                    raise UnexaminableError("the graph has too many ways from its input to its output to be explained")
                if branch.passed > 0:
                    yield branch


def compare(flow: Flow, join: int, operand: int, trunk: int, trunk_region: frozenset[int] | None = None) -> Branch:
    """Return the own part of one of two values that meet."""
    start = flow.dominators.immediate(join)
    region = flow.ancestors(trunk, start) if trunk_region is None else trunk_region
    own = flow.ancestors(operand, start, region)
    entries = {source for vertex in own for source in flow.before[vertex] if source not in own} or {operand}
    leaves_at = min(flow.depth[vertex] for vertex in entries)
    foreign = region - flow.ancestors(operand, start) if own else region
    own_layers = [vertex for vertex in own if flow.is_layer(vertex)]
    return Branch(
        join=join,
        operand=operand,
        trunk=trunk,
        own=own,
        own_layers=max((flow.depth[vertex] for vertex in own), default=leaves_at) - leaves_at if own_layers else 0,
        own_weights=flow.weight(own),
        trunk_weights=flow.weight(foreign),
        leaves_at=leaves_at,
        starts_at=flow.depth[start],
        passed=flow.depth[trunk] - leaves_at,
        left=max(0, flow.layers - flow.depth[join]),
        bottleneck=flow.bottleneck[operand],
        layers=flow.layers,
        pointwise=all(flow.values[vertex].pointwise for vertex in own_layers),
    )
