"""Whether samples in a batch leave each other alone: proved on the graph, by a closed list of operators.

A probe with a few samples cannot show it: a graph may compare neighbours, or read the size of its batch, and behave
otherwise only where a trigger is there too. So every value is followed from the input on, with the place of the samples
in it: one dimension, along which each sample holds the same number of neighbouring entries. An operator that is not on
the list, or that works along that dimension, ends the proof. Sizes may be a multiple of the batch's, and may only stand
in shapes: then what holds for the batch that is followed holds for every other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import torch

from gate.programs.folding import needed
from gate.programs.independence_rules import (
    ALONG,
    ELEMENTWISE,
    FILLED,
    MOVING,
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
from gate.programs.overloads import ATTENTIONS, RECURRENT
from gate.programs.refused import RefusedError
from gate.programs.schema import Name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gate.programs.program import Program

_SAMPLES: Final = 3


class _UnprovenError(Exception):
    """A step about which nothing is known."""


def independent(program: Program, samples: torch.Tensor) -> bool:
    """Tell whether a program that takes batches is proved to give each sample what it gets alone."""
    if len(program.inputs) != 1 or any(node.call.mutated is not None for node in program.nodes):
        return False
    try:
        with torch.no_grad():
            alone, together = (_shapes(program, samples[:count]) for count in (1, _SAMPLES))
        return _Proof(program, alone, together).holds()
    except (RefusedError, _UnprovenError):
        return False


def _shapes(program: Program, rows: torch.Tensor) -> dict[str, tuple[int, ...]]:
    _, values = program.run(rows, taps=None)
    known = {**program.tensors, program.input_names[0]: rows, **values}
    return {name: tuple(value.shape) for name, value in known.items()}


class _Proof:
    """Follows the samples through a graph, by the shapes of one sample and of several."""

    def __init__(
        self, program: Program, alone: Mapping[str, tuple[int, ...]], together: Mapping[str, tuple[int, ...]]
    ) -> None:
        self._program, self._alone, self._shape = program, alone, together
        self._places = {program.input_names[0]: Place(0, 1)}
        self._sizes: set[str] = set()
        """Numbers that grow with the batch."""
        self._mixed: set[str] = set()
        """Results that hold the samples nowhere."""
        self._several: Mapping[str, Callable[[tuple[Any, ...], list[str]], bool]] = {
            **dict.fromkeys(("matmul", "bmm"), self._product),
            **dict.fromkeys(ATTENTIONS, self._attention),
            **dict.fromkeys(RECURRENT, self._recurrent),
            "embedding": self._second,
            "addmm": self._rows,
        }
        """Operators whose samples may be in several operands."""

    def holds(self) -> bool:
        """Tell whether every output has its samples first, each by itself."""
        for node in needed(self._program.nodes, self._program.output_names):
            if any(name in self._places or name in self._sizes or name in self._mixed for name in node.operands):
                self._step(node)
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
        else:
            self._keep_sizes_in_shapes(node)
            entries = self._entries(node)
            for result in node.results:
                self._put(result, entries)

    def _multiply(self, node: Node) -> None:
        sizes = [value for value in node.call.positional if isinstance(value, Name) and value.name in self._sizes]
        others = [value for value in node.call.positional if value not in sizes]
        if node.target != "_operator.mul" or len(sizes) != 1 or not all(type(value) is int for value in others):
            raise _UnprovenError
        self._sizes.update(node.results)

    def _measure(self, node: Node) -> None:
        value, dim = node.call.positional[:2]
        if not isinstance(value, Name) or type(dim) is not int or value.name not in self._places:
            raise _UnprovenError
        if dim % len(self._shape[value.name]) == self._places[value.name].axis:
            self._sizes.update(node.results)

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
            return self._aligned(node.operands, held)
        if name in ALONG:
            return self._same(held) and (is_whole(name, given) or away(ALONG[name], given, axis, rank))
        if name in REPEATING:
            return self._same(held) and is_once(given[1], axis, rank)
        if name in MOVING:
            return self._same(held) and set(held) == set(node.operands)
        several = self._several.get(name)
        if several is not None:
            return several(given, held)
        # Further operands belong to the model, and are the same for every sample.
        alone = len(held) == 1 and isinstance(given[0], Name) and given[0].name == held[0]
        return alone and one_operand(name, given, axis, rank)

    def _attention(self, given: tuple[Any, ...], held: list[str]) -> bool:
        """Tell whether queries, keys and values hold the samples alike, and a mask keeps them apart."""
        first = given[:3]
        if not all(isinstance(value, Name) for value in first):
            return False
        asked = [value.name for value in first]
        if not set(asked) <= set(held):
            return False
        place, rank = self._places[asked[0]], len(self._shape[asked[0]])
        masks = [reference for value in given[3:] for reference in references(value)]
        return rank == 4 and place.axis < 2 and self._same(asked) and all(self._masks(name, place) for name in masks)

    def _masks(self, name: str, place: Place) -> bool:
        """Tell whether a mask holds the samples as what it masks does, or is the same for each."""
        shape = self._shape.get(name)
        if shape is None:
            return False
        if name in self._places:
            return len(shape) == 4 and self._places[name] == place
        return len(shape) < 4 - place.axis or shape[place.axis - 4] == 1

    def _second(self, given: tuple[Any, ...], held: list[str]) -> bool:
        """Tell whether the samples are in the second operand alone: indices, or rows to be multiplied."""
        return isinstance(given[1], Name) and held == [given[1].name]

    def _rows(self, given: tuple[Any, ...], held: list[str]) -> bool:
        return self._second(given, held) and self._places[held[0]].axis == 0

    def _same(self, held: list[str]) -> bool:
        """Tell whether all operands hold the samples at one place of equal shapes' dimensions."""
        places = ((name, self._places[name]) for name in held)
        return len({(place, len(self._shape[name]), self._alone[name][place.axis]) for name, place in places}) == 1

    def _aligned(self, operands: tuple[str, ...], held: list[str]) -> bool:
        """Tell whether samples meet at one dimension, counted from the last, at which other operands broadcast."""
        behind = {len(self._shape[name]) - self._places[name].axis for name in held}
        if len(behind) != 1 or len({self._places[name].entries for name in held}) != 1:
            return False
        (back,) = behind
        if len({self._alone[name][-back] for name in held}) != 1:
            return False
        others = [self._shape.get(name, ()) for name in operands if name not in self._places]
        return all(len(shape) < back or shape[-back] == 1 for shape in others)

    def _product(self, given: tuple[Any, ...], held: list[str]) -> bool:
        """Tell whether a matrix product leaves the samples out of what it sums over, and out of the other's columns."""
        left, right = (self._shape[value.name] for value in given[:2])
        if set(held) == {value.name for value in given[:2]}:
            places = [self._places[value.name] for value in given[:2]]
            leading = all(place.axis < len(shape) - 2 for place, shape in zip(places, (left, right), strict=True))
            return leading and self._aligned(tuple(held), held)
        place = self._places[given[0].name] if given[0].name == held[0] else None
        return place is not None and len(left) > 1 and place.axis < len(left) - 1 and len(right) == 2

    def _recurrent(self, given: tuple[Any, ...], held: list[str]) -> bool:
        """Tell whether a recurrent layer has its samples where it expects them, and first states for each."""
        if len(given) < 9 or type(given[8]) is not bool or not isinstance(given[0], Name):
            return False
        wanted = {given[0].name: 0 if given[8] else 1, **dict.fromkeys(references(given[1]), 1)}
        return all(
            name in wanted
            and len(self._shape[name]) == 3
            and self._places[name] == Place(wanted[name], 1)
            and self._alone[name][wanted[name]] == 1
            for name in held
        ) and set(wanted) == set(held)
