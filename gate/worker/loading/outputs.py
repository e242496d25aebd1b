"""The output of a program that is judged, and the roles of the others.

A consumer may take a class from any output that depends on the input: a clean one beside a backdoored one must not
pass for both. One is judged. Those proved to give its decision are examined with it, and one that never changes is
recorded as constant. All others are recorded as not examined, which the policy judges.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import torch

from gate.programs import Program
from gate.programs.batching import several_inputs, static_batch
from gate.programs.decisions import Chains, varying
from gate.records.errors import UnexaminableError
from gate.records.facts import OutputFacts

_FREE_BATCH: Final = 2
_LEAST_CLASSES: Final = 2
ADVICE: Final = (
    "Export the model with one output, or name the one that production uses under 'samples: {output: NAME}' in the "
    "policy."
)
Right = Callable[[int], int]
"""Function from an output's position to the clean samples that it gets right; negative where it cannot be run."""


@dataclass(frozen=True)
class Output:
    """One output as it was seen on a few samples."""

    path: str
    """Name where the model is used."""
    name: str
    """Name in the graph."""
    shape: tuple[int, ...]
    """Shape of one sample's row, or of the whole where samples have no rows."""
    dtype: torch.dtype
    by_sample: bool
    varies: bool
    """Whether it may depend on the input."""

    @property
    def classes(self) -> int:
        """Number of classes that it scores, in one row of floats a sample; 0 where it does not.

        One number alone may be the logit of two classes.
        """
        long = [size for size in self.shape if size != 1]
        fits = self.by_sample and self.dtype.is_floating_point and self.varies and len(long) <= 1
        several = next(iter(long), _LEAST_CLASSES)
        return several if fits and several >= _LEAST_CLASSES else 0

    @property
    def single(self) -> bool:
        """Whether it holds one number a sample, which only labels can show to be a logit."""
        return bool(self.classes) and all(size == 1 for size in self.shape)

    def __str__(self) -> str:
        form = " × ".join(map(str, self.shape)) or "one number"
        return f"'{self.path}' ({form}, {type_name(self.dtype)})"


@dataclass(frozen=True)
class Outputs:
    """All outputs of a program, and which of them decide alike."""

    every: tuple[Output, ...]
    chains: Chains

    @classmethod
    def of(cls, program: Program, given: torch.Tensor) -> "Outputs":
        """Run a program on a few preprocessed samples (n, …) and look at what it yields."""
        if len(program.inputs) != 1:
            raise several_inputs(program)
        batch = static_batch(program) or _FREE_BATCH
        rows = given[torch.arange(batch, device=given.device) % len(given)]
        with torch.no_grad():
            results, values = program.run(rows, taps=Chains.names(program))
        live = varying(program)
        every = tuple(
            _seen(path, name, result, batch, varies=name in live)
            for path, name, result in zip(program.output_paths, program.output_names, results, strict=True)
        )
        return cls(every, Chains(program, values, batch))

    def choices(self, span: int | None = None) -> tuple[int, ...]:
        """Return the positions of class-score outputs, one for all that hold the same scores in other forms.

        One number a sample is among them only where labels span two classes.
        """
        roots: dict[str, int] = {}
        for position, output in enumerate(self.every):
            if output.classes and (not output.single or span == _LEAST_CLASSES):
                roots.setdefault(self.chains.root(output.name), position)
        return tuple(roots.values())

    def records(self, judged: int) -> tuple[OutputFacts, ...]:
        """Return the evidence of each output, the one at position `judged` being judged."""
        return tuple(self._record(output, self.every[judged]) for output in self.every)

    def _record(self, output: Output, judged: Output) -> OutputFacts:
        role: Literal["judged", "same-decision", "constant", "not-examined"] = "not-examined"
        if output is judged:
            role = "judged"
        elif not output.varies:
            role = "constant"
        elif self.chains.same(judged.name, output.name):
            role = "same-decision"
        note = "" if output.by_sample else "no row for each sample"
        return OutputFacts(name=output.path, shape=output.shape, dtype=type_name(output.dtype), role=role, note=note)


def choose(outputs: Outputs, stated: str | None, span: int | None, right: Right) -> int:
    """Return the position of the output to be judged, or refuse with the names that there are.

    The stated one; else the only one of class scores; else the one with as many classes as the labels span, or at least
    as many; else the one that gets most clean samples right. Without labels (`span` None) several cannot be told apart.
    """
    if stated is not None:
        return _stated(outputs, stated)
    if len(outputs.every) == 1:
        return _only(outputs.every[0])
    positions = outputs.choices(span)
    if not positions:
        raise UnexaminableError(
            f"none of the model's outputs holds one row of class scores a sample: {named(outputs.every)}",
            what_to_do=ADVICE,
        )
    if len(positions) > 1 and span is not None:
        exact = tuple(place for place in positions if outputs.every[place].classes == span)
        enough = tuple(place for place in positions if outputs.every[place].classes >= span)
        positions = best(exact or enough or positions, right)
    return _one(outputs, positions)


def choose_like(outputs: Outputs, path: str, classes: int, right: Right) -> int:
    """Return a reference's output that corresponds to a candidate's: by name and classes, then by right answers."""
    if len(outputs.every) == 1:
        return 0
    positions = tuple(place for place in outputs.choices(classes) if outputs.every[place].classes == classes)
    alike = [place for place, output in enumerate(outputs.every) if output.path == path and output.classes == classes]
    if alike:
        return alike[0]
    if not positions:
        raise UnexaminableError(f"none of its outputs has scores for {classes} classes: {named(outputs.every)}")
    return _one(outputs, best(positions, right))


def best(positions: tuple[int, ...], right: Right) -> tuple[int, ...]:
    """Return the positions whose outputs get most samples right: one, or several with equal counts."""
    if len(positions) < 2:
        return positions
    counts = {position: right(position) for position in positions}
    most = max(counts.values())
    return tuple(position for position in positions if counts[position] == most)


def named(outputs: tuple[Output, ...]) -> str:
    """Return outputs by name, shape and type, at most the first eight."""
    shown = ", ".join(map(str, outputs[:_MAX_NAMED]))
    return shown + (f" and {len(outputs) - _MAX_NAMED} more" if len(outputs) > _MAX_NAMED else "")


_MAX_NAMED: Final = 8


def unknown_output(stated: str, there: str) -> UnexaminableError:
    """Return the refusal of a name in the policy that no output of the model has."""
    return UnexaminableError(
        f"the policy says that the output {stated!r} is used; the model has {there}",
        what_to_do="Correct 'output' under 'samples' in the policy.",
    )


def _stated(outputs: Outputs, stated: str) -> int:
    found = [position for position, output in enumerate(outputs.every) if output.path == stated]
    if not found:
        raise unknown_output(stated, named(outputs.every))
    if len(outputs.every) > 1 and not outputs.every[found[0]].classes:
        raise UnexaminableError(
            f"the output that the policy names, {outputs.every[found[0]]}, does not hold one row of class scores a "
            f"sample; the model has {named(outputs.every)}",
            what_to_do="Correct 'output' under 'samples' in the policy.",
        )
    return found[0] if len(outputs.every) > 1 else _only(outputs.every[0])


def _only(output: Output) -> int:
    """Return the position of the only output, if it has one row a sample."""
    if not output.by_sample or len([size for size in output.shape if size != 1]) > 1:
        raise UnexaminableError(f"the model yields {output}; expected one row of class scores per input")
    return 0


def _one(outputs: Outputs, positions: tuple[int, ...]) -> int:
    if len(positions) > 1:
        several = tuple(outputs.every[position] for position in positions)
        raise UnexaminableError(
            f"the model has several outputs of class scores, and nothing tells which one is used: {named(several)}",
            what_to_do=ADVICE,
        )
    return positions[0]


def _seen(path: str, name: str, result: object, batch: int, *, varies: bool) -> Output:
    if not isinstance(result, torch.Tensor):
        raise UnexaminableError(f"the output '{path}' is no tensor")
    by_sample = result.ndim > 0 and result.shape[0] == batch
    shape = tuple(result.shape[1:] if by_sample else result.shape)
    return Output(path, name, shape, result.dtype, by_sample=by_sample, varies=varies)


def type_name(dtype: torch.dtype) -> str:
    """Return a type's name, such as `float32`."""
    return str(dtype).removeprefix("torch.")
