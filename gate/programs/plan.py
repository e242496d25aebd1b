"""Nodes compiled into a plan: numbered slots and prebound steps; running it costs little beside the kernels.

Constants and state lie in slots like any other value; a step picks its arguments from the slots in one go. A slot is
emptied after its last use: memory is held no longer than by the eager model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn import functional

from gate.programs.guards import guarded
from gate.programs.nodes import Node, references
from gate.programs.schema import Name, Output, OwnDevice, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Slots = list[Any]
Step = Callable[[Slots], None]

DIRECT: Final[dict[str, Callable[..., Any]]] = {
    "torch.ops.aten.add.Tensor": torch.add,
    "torch.ops.aten.batch_norm.default": torch.batch_norm,
    "torch.ops.aten.cat.default": torch.cat,
    "torch.ops.aten.conv2d.default": torch.conv2d,
    "torch.ops.aten.div.Tensor": torch.div,
    "torch.ops.aten.dropout.default": torch.dropout,
    "torch.ops.aten.flatten.using_ints": torch.flatten,
    "torch.ops.aten.gelu.default": functional.gelu,
    "torch.ops.aten.group_norm.default": torch.group_norm,
    "torch.ops.aten.layer_norm.default": torch.layer_norm,
    "torch.ops.aten.linear.default": functional.linear,
    "torch.ops.aten.matmul.default": torch.matmul,
    "torch.ops.aten.max_pool2d.default": torch.max_pool2d,
    "torch.ops.aten.mul.Tensor": torch.mul,
    "torch.ops.aten.permute.default": torch.permute,
    "torch.ops.aten.relu.default": torch.relu,
    "torch.ops.aten.sigmoid.default": torch.sigmoid,
    "torch.ops.aten.sub.Tensor": torch.sub,
    "torch.ops.aten.sym_numel.default": torch.Tensor.numel,
    "torch.ops.aten.sym_size.int": torch.Tensor.size,
    "torch.ops.aten.sym_stride.int": torch.Tensor.stride,
    "torch.ops.aten.transpose.int": torch.transpose,
    "torch.ops.aten.view.default": torch.Tensor.view,
}
"""The same kernels under their quicker Python bindings, where these take the schema's arguments in its order.

Sizes come from the tensor itself, since the operators for them cannot be vectorised.
"""

_CUDNN_FLAG: Final = {"batch_norm": 8, "instance_norm": 8, "group_norm": 5, "layer_norm": 5}
"""Position of the argument by which an export forbids cuDNN; here it may always be used."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One node's step, the slots to empty after it, and where its named results lie."""

    step: Step
    dead: tuple[int, ...]
    results: tuple[tuple[str, int], ...]
    where: str


@dataclass(frozen=True)
class Plan:
    """A compiled program: its slots (state first, in order), its stages, and where inputs and outputs lie."""

    slots: Slots
    stages: tuple[Stage, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class _Layout:
    """Assigns slots while the nodes are compiled."""

    def __init__(self, state: Mapping[str, torch.Tensor], inputs: Iterable[str], device: torch.device) -> None:
        self.slots: Slots = []
        self.device = device
        self.index = {name: self.add(tensor) for name, tensor in state.items()}
        self.fixed = set(self.index)
        self.index.update((name, self.add(None)) for name in inputs)

    def add(self, value: Any) -> int:
        """Put a value in a new slot and return its number."""
        self.slots.append(value)
        return len(self.slots) - 1

    def argument(self, value: Value, before: list[Step]) -> int:
        """Return the slot of an argument; a step of its own assembles a list with names in it."""
        if isinstance(value, Name):
            return self.index[value.name]
        if isinstance(value, tuple) and any(True for _ in references(value)):
            members = [self.argument(item, before) for item in value]
            slot = self.add(None)
            before.append(_collect(members, slot))
            return slot
        return self.add(self.constant(value))

    def constant(self, value: Value) -> Any:
        """Return a value as the operators take it."""
        if isinstance(value, OwnDevice):
            return self.device
        if isinstance(value, tuple):
            return [self.constant(item) for item in value]
        return value


def compile_plan(
    nodes: Sequence[Node],
    inputs: Sequence[str],
    outputs: Sequence[str],
    state: Mapping[str, torch.Tensor],
    device: torch.device,
) -> Plan:
    """Compile nodes into a plan over the given state."""
    layout = _Layout(state, inputs, device)
    last_use = {name: position for position, node in enumerate(nodes) for name in (*node.operands, *node.results)}
    keep = layout.fixed | set(outputs)
    dying: dict[int, list[str]] = {}
    for name, position in last_use.items():
        if name not in keep:
            dying.setdefault(position, []).append(name)
    stages: list[Stage] = []
    for position, node in enumerate(nodes):
        step = _compile(node, layout)
        dead = tuple(layout.index[name] for name in dying.get(position, ()))
        stages.append(Stage(step, dead, tuple((name, layout.index[name]) for name in node.results), node.where))
    return Plan(
        layout.slots,
        tuple(stages),
        tuple(layout.index[name] for name in inputs),
        tuple(layout.index[name] for name in outputs),
    )


def _compile(node: Node, layout: _Layout) -> Step:
    """Return the step that runs a node."""
    before: list[Step] = []
    call = node.call
    values = list(call.positional)
    flag = _CUDNN_FLAG.get(call.name)
    if flag is not None and flag < len(values):
        values[flag] = True
    arguments = [layout.argument(value, before) for value in values]
    keywords = [(name, layout.argument(value, before)) for name, value in call.keywords]
    for name in node.results:
        layout.index[name] = layout.add(None)
    function = call.function if keywords else DIRECT.get(node.target, call.function)
    run = _call(guarded(call.name, function), arguments, keywords)
    step = _store(run, node.outputs, layout.index, node.where)
    return _chain(before, step) if before else step


def _call(
    function: Callable[..., Any], arguments: list[int], keywords: list[tuple[str, int]]
) -> Callable[[Slots], Any]:
    """Return a call of a function with arguments from fixed slots."""
    if keywords:
        return lambda slots: function(
            *[slots[index] for index in arguments], **{name: slots[index] for name, index in keywords}
        )
    if not arguments:
        return lambda _: function()
    if len(arguments) == 1:
        (only,) = arguments
        return lambda slots: function(slots[only])
    pick = itemgetter(*arguments)
    return lambda slots: function(*pick(slots))


def _store(
    run: Callable[[Slots], Any], outputs: tuple[Output | None, ...], index: Mapping[str, int], where: str
) -> Step:
    """Return a step that runs a call and puts its results into their slots."""
    targets = [_targets(output, index) for output in outputs]
    if len(targets) == 1 and isinstance(targets[0], int):
        slot = targets[0]

        def store_one(slots: Slots) -> None:
            slots[slot] = run(slots)

        return store_one

    def store_many(slots: Slots) -> None:
        results = run(slots)
        values = [results] if len(targets) == 1 else results
        for target, value in zip(targets, values, strict=True):
            if isinstance(target, int):
                slots[target] = value
            elif target is not None:
                if len(target) != len(value):
                    raise ValueError(f"{where} yields {len(value)} values; the archive names {len(target)}")
                for slot, item in zip(target, value, strict=True):
                    if slot is not None:
                        slots[slot] = item

    return store_many


def _targets(output: Output | None, index: Mapping[str, int]) -> int | tuple[int | None, ...] | None:
    """Return the slot, or slots, that a result goes to."""
    if output is None:
        return None
    slots = tuple(None if name is None else index[name] for name in output.names)
    return slots if output.is_list else slots[0]


def _collect(members: list[int], slot: int) -> Step:
    def collect(slots: Slots) -> None:
        slots[slot] = [slots[member] for member in members]

    return collect


def _chain(before: list[Step], step: Step) -> Step:
    def chained(slots: Slots) -> None:
        for earlier in before:
            earlier(slots)
        step(slots)

    return chained
