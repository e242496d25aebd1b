"""Whether samples in a batch leave each other alone: proved on the graph, by a closed list of operators.

A probe with a few samples cannot show it: a graph may compare neighbours, or read the size of its batch, and behave
otherwise only where a trigger is there too. So every value is followed from the inputs on, with the place of the
samples in it: one dimension, along which each sample holds the same number of neighbouring entries. An operator that is
not on the list, or that works along that dimension, ends the proof. Sizes may be a multiple of the batch's, and may
only stand in shapes, or number the samples for a look-up of what each holds itself: then what holds for the batch that
is followed holds for every other of the same further sizes, such as a length. For another length it is made anew.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import torch

from gate.programs.folding import needed
from gate.programs.independence_operands import SEVERAL, Known
from gate.programs.independence_rules import (
    ALONG,
    ELEMENTWISE,
    FILLED,
    MOVING,
    NUMBERED,
    OF_TWO,
    REPEATING,
    RESHAPING,
    SHAPES,
    Place,
    away,
    exact,
    is_once,
    is_whole,
    one_operand,
)
from gate.programs.nodes import Node, references
from gate.programs.refused import RefusedError
from gate.programs.schema import Name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gate.programs.program import Program

_SAMPLES: Final = 3
_NUMBERING: Final = "torch.ops.aten.arange.default"


class _UnprovenError(Exception):
    """A step about which nothing is known."""


def independent(program: Program, *samples: torch.Tensor) -> bool:
    """Tell whether a program that takes batches (N, …) is proved to give each sample what it gets alone.

    It holds for any number of samples whose other sizes are as here.
    """
    if len(program.inputs) != len(samples) or any(node.call.mutated is not None for node in program.nodes):
        return False
    try:
        with torch.no_grad():
            alone, together = (_shapes(program, [rows[:count] for rows in samples]) for count in (1, _SAMPLES))
        return _Proof(program, alone, together).holds()
    except (RefusedError, _UnprovenError):
        return False


def _shapes(program: Program, rows: Sequence[torch.Tensor]) -> dict[str, tuple[int, ...]]:
    _, values = program.run(*rows, taps=None)
    known = {**program.tensors, **dict(zip(program.input_names, rows, strict=True)), **values}
    return {name: tuple(value.shape) for name, value in known.items()}


class _Proof:
    """Follows the samples through a graph, by the shapes of one sample and of several."""

    def __init__(
        self, program: Program, alone: Mapping[str, tuple[int, ...]], together: Mapping[str, tuple[int, ...]]
    ) -> None:
        self._program, self._alone, self._shape = program, alone, together
        self._places = dict.fromkeys(program.input_names, Place(0, 1))
        self._known = Known(alone, together, self._places)
        self._sizes: set[str] = set()
        """Numbers that grow with the batch."""
        self._mixed: set[str] = set()
        """Results that hold the samples nowhere."""
        self._numbers: dict[str, int] = {}
        """Dimension along which a value holds the samples' numbers, 0, 1, 2, …, and nothing else."""

    def holds(self) -> bool:
        """Tell whether every output has its samples first, each by itself."""
        for node in needed(self._program.nodes, self._program.output_names):
            if any(name in known for name in node.operands for known in (self._places, self._sizes, self._mixed)):
                self._step(node)
            elif not self._numbers.keys().isdisjoint(node.operands):
                self._pass_on(node)
        outputs = self._program.output_names
        return all(self._places.get(name) == Place(0, 1) and self._alone[name][0] == 1 for name in outputs)

    def _step(self, node: Node) -> None:
        """Place the results of a node that depends on the samples or on their number."""
        name = node.call.name
        if not self._mixed.isdisjoint(node.operands):
            raise _UnprovenError
        if name == "arithmetic":
            self._multiply(node)
        elif name == "sym_size":
            self._measure(node)
        elif name == "arange":
            self._number(node)
        elif not self._numbers.keys().isdisjoint(node.operands):
            self._look_up(node)
        else:
            self._keep_sizes_in_shapes(node)
            entries = self._entries(node)
            for result in node.results:
                self._put(result, entries)

    def _multiply(self, node: Node) -> None:
        sizes = [value for value in node.call.positional if isinstance(value, Name) and value.name in self._sizes]
        others = [value for value in node.call.positional if value not in sizes]
        fixed = all(type(value) is int or isinstance(value, Name) for value in others)  # a length, which does not grow
        if node.target != "_operator.mul" or len(sizes) != 1 or not fixed:
            raise _UnprovenError
        self._sizes.update(node.results)

    def _measure(self, node: Node) -> None:
        value, dim = node.call.positional[:2]
        if not isinstance(value, Name) or type(dim) is not int or value.name not in self._places:
            raise _UnprovenError
        if dim % len(self._shape[value.name]) == self._places[value.name].axis:
            self._sizes.update(node.results)

    def _number(self, node: Node) -> None:
        """Note the numbers of the samples, as many as the batch has."""
        given, name = node.call.positional, node.name
        if node.target != _NUMBERING or len(self._sizes.intersection(node.operands)) != 1 or len(given) != 1:
            raise _UnprovenError
        if self._alone[name] != (1,) or self._shape[name] != (_SAMPLES,):
            raise _UnprovenError  # a multiple of the batch's size
        self._numbers[name] = 0

    def _pass_on(self, node: Node) -> None:
        """Note numbers of the samples that only get further dimensions, of size 1."""
        if node.call.name not in NUMBERED or (
            node.call.name == "slice" and not is_whole("slice", node.call.positional)
        ):
            raise _UnprovenError
        (result,) = node.results
        long = [axis for axis, size in enumerate(self._shape[result]) if size != 1]
        if len(long) != 1 or self._shape[result][long[0]] != _SAMPLES:
            raise _UnprovenError
        self._numbers[result] = long[0]

    def _look_up(self, node: Node) -> None:
        """Place what is looked up in a value by the samples' own numbers: each finds what it holds itself."""
        source, indices = (*node.call.positional, None)[:2]
        tensors = indices if isinstance(indices, tuple) else ()
        names = [one.name for one in tensors if isinstance(one, Name)]
        if node.call.name != "index" or not isinstance(source, Name) or not names or len(names) != len(tensors):
            raise _UnprovenError
        first, rank = names[0], max(len(self._shape[name]) for name in names)
        if self._places.get(source.name) != Place(0, 1) or self._alone[source.name][0] != 1:
            raise _UnprovenError
        if first not in self._numbers or not self._numbers.keys().isdisjoint((source.name, *names[1:])):
            raise _UnprovenError
        back = len(self._shape[first]) - self._numbers[first]
        if not self._mixed.isdisjoint(names) or not all(self._known.at(name, back) for name in names[1:]):
            raise _UnprovenError
        (result,) = node.results
        self._put(result, lambda _result, axis: 1 if axis == rank - back else None)

    def _keep_sizes_in_shapes(self, node: Node) -> None:
        place = SHAPES.get(node.call.name)
        for index, value in enumerate((*node.call.positional, *(value for _, value in node.call.keywords))):
            if index != place and not self._sizes.isdisjoint(references(value)):
                raise _UnprovenError

    def _put(self, result: str, entries: Callable[[str, int], int | None]) -> None:
        """Note which dimension of a result holds the samples: the only one that grew with their number."""
        if result not in self._shape:
            raise _UnprovenError
        alone, together = self._alone[result], self._shape[result]
        grown = [axis for axis in range(len(together)) if alone[axis : axis + 1] != together[axis : axis + 1]]
        if len(alone) != len(together) or len(grown) > 1:
            raise _UnprovenError
        if not grown:
            self._mixed.add(result)
            return
        (axis,) = grown
        each = entries(result, axis)
        if together[axis] != _SAMPLES * alone[axis] or each is None or not each or alone[axis] % each:
            raise _UnprovenError
        self._places[result] = Place(axis, each)

    def _entries(self, node: Node) -> Callable[[str, int], int | None]:
        """Return how many neighbouring entries of a sample the grown dimension of a result has, once it is proved."""
        name = node.call.name
        held = [reference for reference in node.operands if reference in self._places]
        if name == "expand" or name in FILLED or (name in REPEATING and not held):
            return self._expanded(node, held)
        if not held:
            raise _UnprovenError
        first = self._places[held[0]]
        if name in RESHAPING:
            if node.call.positional[0] != Name(held[0]):
                raise _UnprovenError  # only the shape of the samples is used, for another value
            inner = first.entries * math.prod(self._shape[held[0]][first.axis + 1 :])
            return lambda result, axis: exact(inner, math.prod(self._shape[result][axis + 1 :]))
        if not self._allowed(node, held):
            raise _UnprovenError
        return lambda _result, _axis: first.entries

    def _expanded(self, node: Node, held: list[str]) -> Callable[[str, int], int | None]:
        if held and node.call.name == "expand":
            place, rank = self._places[held[0]], len(self._shape[held[0]])
            return lambda result, axis: place.entries if len(self._shape[result]) - axis == rank - place.axis else None
        return lambda result, axis: self._alone[result][axis]  # the same for every sample, wherever they are

    def _allowed(self, node: Node, held: list[str]) -> bool:
        """Tell whether an operator keeps the samples of its operands apart."""
        name = node.call.name
        given: tuple[Any, ...] = node.call.positional
        axis, rank = self._places[held[0]].axis, len(self._shape[held[0]])
        if name in ELEMENTWISE or node.target in OF_TWO:
            return self._known.aligned(node.operands, held)
        if name in ALONG:
            return self._known.same(held) and (is_whole(name, given) or away(ALONG[name], given, axis, rank))
        if name in REPEATING:
            return self._known.same(held) and is_once(given[1], axis, rank)
        if name in MOVING:
            return self._known.same(held) and set(held) == set(node.operands)
        several = SEVERAL.get(name)
        if several is not None:
            return several(self._known, given, held)
        # Further operands belong to the model, and are the same for every sample.
        alone = len(held) == 1 and isinstance(given[0], Name) and given[0].name == held[0]
        return alone and one_operand(name, given, axis, rank)
