"""Which outputs of a program give the same decision: proved on the graph, by a closed list of operators.

A chain leads back from an output through operators that keep which class is first: softmax along the classes, their
argmax, and what changes neither values nor order. Two outputs whose chains meet decide alike, up to rounding. An
operator that is not on the list ends a chain, arithmetic with constants above all. A sigmoid is not on it: far from
zero it gives different scores the same value, and a shift of all scores, which leaves their order, would then choose
the class. Of one number a sample it makes the probability of a logit, once: there two outputs decide alike only if
both are the same logit or its probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import torch

from gate.programs.batching import static_batch
from gate.programs.dataflow.operators import FORM_ONLY
from gate.programs.overloads import KEEPING, SOFTMAXES
from gate.programs.schema import Name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gate.programs.nodes import Node
    from gate.programs.program import Program

_SIGMOID: Final = "sigmoid"
_RESULT: Final = {"argmax": 0, "max": 1, "topk": 1}
"""Position of the choice among the results of an operator that chooses."""
_SIZES: Final = frozenset({"sym_size", "sym_numel", "sym_stride"})
_WIDE: Final = frozenset({torch.float32, torch.float64, torch.int32, torch.int64})
"""Types that hold every choice exactly, and every score of no wider type."""
_MAX_STEPS: Final = 64
_FREE_BATCH: Final = 2


@dataclass(frozen=True)
class Chains:
    """A program's values on a few samples, by which the shapes on a chain are known."""

    program: Program
    values: Mapping[str, torch.Tensor]
    """Values by the names that `names` returns, from one run."""
    batch: int

    @staticmethod
    def names(program: Program) -> frozenset[str]:
        """Return every value that may stand on a chain."""
        return frozenset(name for output in program.output_names for name in _back(program, output))

    def root(self, output: str) -> str:
        """Return the earliest value with the same order of scores as an output."""
        return self.chain(output)[-1]

    def chain(self, output: str) -> list[str]:
        """Return an output and the earlier values that are proved to decide as it does, the earliest last."""
        return self._numbers(output) if self._is_one(output) else self._chain(output, choices=False)

    def same(self, judged: str, other: str) -> bool:
        """Tell whether an output is proved to give the decision of one that holds scores."""
        if self._is_one(judged):
            return self.root(judged) == self.root(other)
        return not set(self._chain(judged, choices=False)).isdisjoint(self._chain(other, choices=True))

    def _chain(self, output: str, *, choices: bool) -> list[str]:
        """Return an output and the earlier values that decide as it does, at most one choice among the steps."""
        chain, chosen, scored = [output], False, False
        for node, before, name in self._steps(output):
            if node.call.name in _RESULT:
                if not choices or chosen or scored or not self._is_choice(node, name, self.values[before]):
                    break
                chosen = True
            elif node.call.name in SOFTMAXES:
                if not self._is_softmax(node, self.values[before], self.values[name]):
                    break
                scored = scored or not chosen
            elif not self._is_same(node, self.values[before], self.values[name]):
                break
            chain.append(before)
        return chain

    def _steps(self, output: str) -> Iterator[tuple[Node, str, str]]:
        """Yield the steps back from an output, each with the names of the values before and after it."""
        if any(node.call.mutated is not None for node in self.program.nodes):
            return  # values that are overwritten in place are not followed here
        after = output
        for _ in range(_MAX_STEPS):
            node = self.program.producers.get(after)
            before = _first(node) if node is not None else None
            if node is None or before is None or before not in self.values or after not in self.values:
                return
            yield node, before, after
            after = before

    def _is_one(self, output: str) -> bool:
        """Tell whether an output is one number a sample, whose value and not an order decides."""
        return output in self.values and self._axis(self.values[output]) == 0

    def _numbers(self, output: str) -> list[str]:
        """Return the values that one number a sample is, or is the sigmoid of."""
        chain, squashed = [output], False
        for node, before, name in self._steps(output):
            probability = node.call.name == _SIGMOID and not squashed
            holds = self._is_probability if probability else partial(self._is_same, node)
            if not holds(self.values[before], self.values[name]):
                break
            chain.append(before)
            squashed = squashed or probability
        return chain

    def _is_same(self, node: Node, before: torch.Tensor, after: torch.Tensor) -> bool:
        same_form = self._axis(before) is not None and self._axis(after) is not None
        known_sizes = all(map(self._is_size, node.operands[1:]))
        as_many = before.numel() == after.numel() and _as_wide(before, after)
        return node.call.name in KEEPING and same_form and known_sizes and as_many

    def _is_size(self, name: str) -> bool:
        """Tell whether a number in a shape is a size of the input; a computed one may be another for another batch."""
        node = self.program.producers.get(name)
        return node is not None and node.call.name == "sym_size" and _first(node) in self.program.input_names

    def _is_softmax(self, node: Node, before: torch.Tensor, after: torch.Tensor) -> bool:
        along = node.call.positional[1] if len(node.call.positional) > 1 else None
        return before.is_floating_point() and self._along_classes(along, before) and _as_wide(before, after)

    def _is_probability(self, before: torch.Tensor, after: torch.Tensor) -> bool:
        """Tell whether a sigmoid is taken of one number a sample."""
        return before.is_floating_point() and self._axis(before) == 0 and _as_wide(before, after)

    def _is_choice(self, node: Node, name: str, scores: torch.Tensor) -> bool:
        """Tell whether a result is the indices of the greatest scores, greatest first."""
        outputs, given = node.outputs, node.call.positional
        place = _RESULT[node.call.name]
        output = outputs[place] if place < len(outputs) else None
        if output is None or output.is_list or output.names != (name,) or not scores.is_floating_point():
            return False
        if node.call.name == "topk":
            along = given[2] if len(given) > 2 else -1
            return all(value is True for value in given[3:]) and self._along_classes(along, scores)
        exact = node.target in {"torch.ops.aten.max.dim", "torch.ops.aten.argmax.default"}
        return exact and len(given) > 1 and self._along_classes(given[1], scores)

    def _along_classes(self, along: object, scores: torch.Tensor) -> bool:
        axis = self._axis(scores)
        return axis is not None and axis > 0 and type(along) is int and along in {axis, axis - scores.ndim}

    def _axis(self, value: torch.Tensor) -> int | None:
        """Return along which dimension a value has several numbers a sample: 0 for none, None for more than one."""
        if value.ndim == 0 or value.shape[0] != self.batch:
            return None
        long = [axis for axis in range(1, value.ndim) if value.shape[axis] != 1]
        return None if len(long) > 1 else (*long, 0)[0]


def deciding(program: Program, *given: torch.Tensor) -> frozenset[str]:
    """Return the first output and the values before it that are proved, on a few samples, to decide as it does.

    A softmax along anything but the classes, or a type that holds fewer values, decides otherwise than what enters it.
    """
    batch = static_batch(program) or _FREE_BATCH
    rows = [one[torch.arange(batch, device=one.device) % len(one)] for one in given]
    with torch.no_grad():
        _, values = program.run(*rows, taps=Chains.names(program))
    return frozenset(Chains(program, values, batch).chain(program.output_names[0]))


def varying(program: Program) -> frozenset[str]:
    """Return the values whose content may depend on the input; all of them where the graph writes in place."""
    if any(node.call.mutated is not None for node in program.nodes):
        return frozenset((*program.input_names, *program.producers, *program.output_names))
    found = set(program.input_names)
    for node in program.nodes:
        by_form = node.call.name in _SIZES or node.call.name in FORM_ONLY
        if not by_form and not found.isdisjoint(node.operands):
            found.update(node.results)
    return frozenset(found)


def _back(program: Program, output: str) -> list[str]:
    """Return the values that lead to an output by operators of the list, with any arguments."""
    names: list[str] = []
    name: str | None = output
    while name is not None and name in program.producers and len(names) <= _MAX_STEPS:
        names.append(name)
        node = program.producers[name]
        name = _first(node) if node.call.name in {*KEEPING, *SOFTMAXES, *_RESULT, _SIGMOID} else None
    return names


def _first(node: Node) -> str | None:
    value = node.call.positional[0] if node.call.positional else None
    return value.name if isinstance(value, Name) else None


def _as_wide(before: torch.Tensor, after: torch.Tensor) -> bool:
    """Tell whether a change of type keeps what differs apart."""
    if before.dtype == after.dtype:
        return True
    widens = not before.is_floating_point() or (
        after.is_floating_point() and before.dtype.itemsize <= after.dtype.itemsize
    )
    return widens and after.dtype in _WIDE
