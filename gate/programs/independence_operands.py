"""Where several operands hold the samples: whether they meet sample by sample, for the proof in `independence`.

Each function here answers for one kind of operator, from the operands' shapes and the place of the samples in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gate.programs.independence_rules import Place, away
from gate.programs.nodes import references
from gate.programs.overloads import ATTENTIONS, RECURRENT
from gate.programs.schema import Name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Known:
    """What is known of values: their shapes for one sample and for several, and where the samples are."""

    alone: Mapping[str, tuple[int, ...]]
    shape: Mapping[str, tuple[int, ...]]
    places: Mapping[str, Place]
    """Grows while the proof goes on."""

    def same(self, held: Sequence[str]) -> bool:
        """Tell whether all operands hold the samples at one place of equal shapes' dimensions."""
        places = ((name, self.places[name]) for name in held)
        return len({(place, len(self.shape[name]), self.alone[name][place.axis]) for name, place in places}) == 1

    def aligned(self, operands: Sequence[str], held: Sequence[str]) -> bool:
        """Tell whether samples meet at one dimension, counted from the last, at which other operands broadcast."""
        behind = {len(self.shape[name]) - self.places[name].axis for name in held}
        if len(behind) != 1 or len({self.places[name].entries for name in held}) != 1:
            return False
        (back,) = behind
        if len({self.alone[name][-back] for name in held}) != 1:
            return False
        others = [self.shape.get(name, ()) for name in operands if name not in self.places]
        return all(len(shape) < back or shape[-back] == 1 for shape in others)

    def at(self, name: str, back: int) -> bool:
        """Tell whether a value holds single samples at a dimension counted from the last, or is the same for each."""
        shape, place = self.shape[name], self.places.get(name)
        if place is not None:
            return place.entries == 1 and len(shape) - place.axis == back and self.alone[name][place.axis] == 1
        return len(shape) < back or shape[-back] == 1


def _attention(known: Known, given: tuple[Any, ...], held: list[str]) -> bool:
    """Tell whether queries, keys and values hold the samples alike, and a mask keeps them apart."""
    first = given[:3]
    if not all(isinstance(value, Name) for value in first):
        return False
    asked = [value.name for value in first]
    if not set(asked) <= set(held):
        return False
    place, rank = known.places[asked[0]], len(known.shape[asked[0]])
    masks = [reference for value in given[3:] for reference in references(value)]
    alike = rank == 4 and place.axis < 2 and known.same(asked)
    return alike and all(_masks(known, name, place) for name in masks)


def _masks(known: Known, name: str, place: Place) -> bool:
    """Tell whether a mask holds the samples as what it masks does, or is the same for each."""
    shape = known.shape.get(name)
    if shape is None:
        return False
    if name in known.places:
        return len(shape) == 4 and known.places[name] == place
    return len(shape) < 4 - place.axis or shape[place.axis - 4] == 1


def _second(_known: Known, given: tuple[Any, ...], held: list[str]) -> bool:
    """Tell whether the samples are in the second operand alone: indices, or rows to be multiplied."""
    return isinstance(given[1], Name) and held == [given[1].name]


def _rows(known: Known, given: tuple[Any, ...], held: list[str]) -> bool:
    return _second(known, given, held) and known.places[held[0]].axis == 0


def _gathered(known: Known, given: tuple[Any, ...], held: list[str]) -> bool:
    """Tell whether values and indices hold the samples alike, and values are picked along another dimension."""
    both = {value.name for value in (given[0], given[2]) if isinstance(value, Name)}
    rank, axis = len(known.shape[held[0]]), known.places[held[0]].axis
    return both == set(held) and known.same(held) and away((1, None), given, axis, rank)


def _product(known: Known, given: tuple[Any, ...], held: list[str]) -> bool:
    """Tell whether a matrix product leaves the samples out of what it sums over, and out of the other's columns."""
    left, right = (known.shape[value.name] for value in given[:2])
    if set(held) == {value.name for value in given[:2]}:
        places = [known.places[value.name] for value in given[:2]]
        leading = all(place.axis < len(shape) - 2 for place, shape in zip(places, (left, right), strict=True))
        return leading and known.aligned(tuple(held), held)
    place = known.places[given[0].name] if given[0].name == held[0] else None
    return place is not None and len(left) > 1 and place.axis < len(left) - 1 and len(right) == 2


def _recurrent(known: Known, given: tuple[Any, ...], held: list[str]) -> bool:
    """Tell whether a recurrent layer has its samples where it expects them, and first states for each."""
    if len(given) < 9 or type(given[8]) is not bool or not isinstance(given[0], Name):
        return False
    wanted = {given[0].name: 0 if given[8] else 1, **dict.fromkeys(references(given[1]), 1)}
    return all(
        name in wanted
        and len(known.shape[name]) == 3
        and known.places[name] == Place(wanted[name], 1)
        and known.alone[name][wanted[name]] == 1
        for name in held
    ) and set(wanted) == set(held)


SEVERAL: Final[Mapping[str, Callable[[Known, tuple[Any, ...], list[str]], bool]]] = {
    **dict.fromkeys(("matmul", "bmm"), _product),
    **dict.fromkeys(ATTENTIONS, _attention),
    **dict.fromkeys(RECURRENT, _recurrent),
    "embedding": _second,
    "addmm": _rows,
    "gather": _gathered,
}
"""Operators whose samples may be in several operands."""
