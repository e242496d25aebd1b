"""Batches for programs: how many samples may run together, decided by proof and probe, never by the graph's claim.

An export may have its batch size baked in (MLflow's usual case: the example was one sample). It runs directly where
that is proved to give each sample what it gets alone (`independence`) and a probe agrees; else with the baked sizes
made free, shown in the same way; else one sample at a time, vectorised by `torch.func.vmap` or, for layers that cannot
be vectorised, one after the other: both are exact for any use that the graph makes of its batch. A probe alone is not
enough: a backdoor that looks for neighbours, and is served without any, shows none while no trigger is there.

A program may take several tensors that hold the same samples (token ids and their mask), and any length of them. The
proof is of one length; it is made again for each new one, and where it fails samples of that length run alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import torch

from gate.programs import advice
from gate.programs.folding import folded
from gate.programs.independence import independent
from gate.programs.numbers import TOLERANCE
from gate.programs.refused import RefusedError
from gate.programs.relax import relax_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from gate.programs.program import Program

Mode = Literal["direct", "relaxed", "per-sample", "one-by-one"]
_Sample = tuple[tuple[Any, ...], dict[str, torch.Tensor]]
_Sizes = tuple[torch.Size, ...]
_AT_ONCE: Final = frozenset({"direct", "relaxed"})
"""Modes in which samples meet in one batch."""
_RELATIVE_TOLERANCE = 1e-3
_ABSOLUTE_TOLERANCE = 1e-4
_SPARE_SAMPLES = 3
_MAX_NAMED = 8


@dataclass(frozen=True, eq=False)
class Batched:
    """A program that takes any number of samples (N, …), in one tensor or in several."""

    program: Program
    mode: Mode
    _shown: dict[_Sizes, bool] = field(default_factory=dict, repr=False)
    """Whether samples of some sizes are proved to leave each other alone; the first are those of the decision."""

    @property
    def only_alone(self) -> bool:
        """Whether samples are run one at a time, at any size so far, and a consumer may run them together."""
        alone = self.mode not in _AT_ONCE or not all(self._shown.values())
        return alone and static_batch(self.program) != 1

    def __call__(self, *x: torch.Tensor) -> Any:
        """Return the first output for every sample, or a tuple of all outputs where there are several."""
        outputs, _ = self.run(*x, taps=())
        return outputs[0] if len(outputs) == 1 else outputs

    def run(self, *x: torch.Tensor, taps: Collection[str] = ()) -> tuple[tuple[Any, ...], dict[str, torch.Tensor]]:
        """Return all outputs and the tapped values, each with the samples as its first dimension."""
        if self.mode in _AT_ONCE and not self.leave_each_other_alone(*x):
            return _one_by_one(self.program, x, taps)
        return _RUN[self.mode](self.program, x, taps)

    def leave_each_other_alone(self, *x: torch.Tensor) -> bool:
        """Tell whether samples of these sizes may run together, proved on the first ones where they are new."""
        sizes = tuple(one.shape[1:] for one in x)
        if len(x[0]) > 1 and sizes not in self._shown:
            self._shown[sizes] = independent(self.program, *(_rows(one, _SPARE_SAMPLES).detach() for one in x))
        return len(x[0]) <= 1 or self._shown[sizes]

    def to(self, device: torch.device | str) -> Batched:
        """Return the program on another device, in the same mode."""
        return Batched(self.program.to(device), self.mode, dict(self._shown))


def batched(program: Program, *example: torch.Tensor) -> Batched:
    """Decide on samples (n, …) how a program takes batches; refuse it where every way gives wrong results.

    A program of several inputs is given a tensor for each, which hold the same samples.
    """
    if len(program.inputs) != len(example):
        raise several_inputs(program)
    size = static_batch(program)
    probe = tuple(_probe(one, max(size or 1, 1) + _SPARE_SAMPLES) for one in example)
    with torch.no_grad():
        expected = [_alone(program, rows, size or 1) for rows in zip(*probe, strict=True)]
        reasons: list[str] = []
        for candidate in _candidates(program, size):
            reason = _fault(candidate, probe, expected)
            together = candidate.mode in _AT_ONCE
            if reason is None and together and not candidate.leave_each_other_alone(*probe):
                reason = "nothing shows that samples leave each other alone"
            if reason is None:
                return candidate
            reasons.append(f"{candidate.mode}: {reason}")
    raise RefusedError("batch", "no way of running batches gives each sample its own result; " + "; ".join(reasons))


def several_inputs(program: Program) -> RefusedError:
    """Return the refusal of a program that takes more than one batch of samples, with the names of its inputs."""
    names = ", ".join(program.input_names[:_MAX_NAMED])
    message = f"the program takes {len(program.inputs)} tensors ({names}); one batch of samples is examined"
    return RefusedError("inputs", message, what_to_do=advice.INPUTS)


def static_batch(program: Program) -> int | None:
    """Return the batch size that was baked into the first input, or None where it is free."""
    shape = program.inputs[0].shape
    return shape[0] if shape else None


def _rows(samples: torch.Tensor, count: int) -> torch.Tensor:
    """Return `count` rows of samples, over and over where there are fewer."""
    return samples[torch.arange(count, device=samples.device) % len(samples)]


def _candidates(program: Program, size: int | None) -> Iterator[Batched]:
    """Yield the ways to run batches, quickest first."""
    yield Batched(program, "direct")
    if size is not None and (relaxed := _relaxed(program)) is not None:
        yield Batched(relaxed, "relaxed")
    yield Batched(program, "per-sample")
    yield Batched(program, "one-by-one")


def _relaxed(program: Program) -> Program | None:
    """Return the program with its baked batch free, or as it is, and its constants computed; None where that fails."""
    try:
        return folded(relax_batch(program) or program)
    except RefusedError:
        return None


def _probe(example: torch.Tensor, count: int) -> torch.Tensor:
    """Return `count` samples made of the example's rows, later ones scaled to make all different."""
    if example.ndim == 0 or len(example) == 0:
        raise ValueError("the example must hold at least one sample")
    rows = _rows(example, count).clone()
    if rows.is_floating_point():
        scale = torch.linspace(1.0, 0.5, count, device=rows.device, dtype=rows.dtype)
        return rows * scale.reshape(-1, *[1] * (rows.ndim - 1))
    if len(example) == 1 and rows.ndim > 1:
        return torch.stack([row.roll(index, -1) for index, row in enumerate(rows)])
    return rows


def _filled(rows: Sequence[torch.Tensor], size: int) -> list[torch.Tensor]:
    """Return one sample, a row for each input, as a batch of so many of it."""
    return [row.unsqueeze(0).expand(size, *row.shape) for row in rows]


def _alone(program: Program, rows: Sequence[torch.Tensor], size: int) -> tuple[torch.Tensor, ...]:
    """Return what one sample yields by itself, or filling a baked batch alone."""
    outputs = program(*_filled(rows, size))
    every = outputs if isinstance(outputs, tuple) else (outputs,)
    return tuple(output[0] for output in every)


def _fault(candidate: Batched, probe: Sequence[torch.Tensor], expected: list[tuple[torch.Tensor, ...]]) -> str | None:
    """Return why a way of running batches is wrong, or None where it agrees at every size that was tried."""
    for count in (len(expected), 2, 1):
        try:
            outputs, _ = _RUN[candidate.mode](candidate.program, [rows[:count] for rows in probe], ())
        except RefusedError as error:
            return error.what
        for position, output in enumerate(outputs):
            wanted = torch.stack([row[position] for row in expected[:count]])
            if not isinstance(output, torch.Tensor) or output.shape != wanted.shape:
                return f"{count} samples yield no tensor of shape {tuple(wanted.shape)}"
            scale = float(wanted.abs().max()) if wanted.is_floating_point() else 1.0
            share = TOLERANCE.get(wanted.dtype, _ABSOLUTE_TOLERANCE)
            relative = max(_RELATIVE_TOLERANCE, TOLERANCE.get(wanted.dtype, 0.0))
            if not torch.allclose(output, wanted, rtol=relative, atol=share * max(scale, 1e-6)):
                return f"{count} samples together yield other results than each alone"
    return None


def _single(program: Program, rows: Sequence[torch.Tensor], taps: Collection[str]) -> _Sample:
    """Run one sample in a batch of its own; the batch dimension of outputs and tapped values is dropped."""
    size = static_batch(program) or 1
    outputs, tapped = program.run(*_filled(rows, size), taps=taps)
    own = {name: value[0] if value.ndim and len(value) == size else value for name, value in tapped.items()}
    return tuple(output[0] for output in outputs), own


def _together(program: Program, x: Sequence[torch.Tensor], taps: Collection[str]) -> _Sample:
    """Run all samples as one batch."""
    if not taps:
        outputs = program(*x)
        return (outputs if isinstance(outputs, tuple) else (outputs,)), {}
    return program.run(*x, taps=taps)


def _vectorised(program: Program, x: Sequence[torch.Tensor], taps: Collection[str]) -> _Sample:
    """Run every sample in a batch of its own, all at once."""
    run: Callable[..., _Sample] = torch.func.vmap(lambda *rows: _single(program, rows, taps))
    try:
        return run(*x)
    except (RefusedError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise RefusedError("batch", f"cannot be vectorised: {type(error).__name__}: {error}") from error


def _one_by_one(program: Program, x: Sequence[torch.Tensor], taps: Collection[str]) -> _Sample:
    """Run every sample in a batch of its own, one after the other."""
    results = [_single(program, rows, taps) for rows in zip(*x, strict=True)]
    outputs = tuple(torch.stack(column) for column in zip(*(outputs for outputs, _ in results), strict=True))
    return outputs, {name: torch.stack([tapped[name] for _, tapped in results]) for name in taps}


_RUN: Final[Mapping[Mode, Callable[[Program, Sequence[torch.Tensor], Collection[str]], _Sample]]] = {
    "direct": _together,
    "relaxed": _together,
    "per-sample": _vectorised,
    "one-by-one": _one_by_one,
}
