"""A runnable program: named inputs, named state, and a sequence of reviewed operators.

A program is a function of its inputs and nothing else: no random numbers, no state that changes, no code of the
candidate. Every intermediate value has a name by which it can be tapped or replaced, with gradients.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import torch

from gate.programs.plan import Plan, compile_plan
from gate.programs.refused import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from gate.programs.nodes import Node
    from gate.programs.schema import InputTensor, StateTensor

NOWHERE: Final = torch.device("meta")
"""Where tensors have shapes and types and no memory."""


@dataclass(frozen=True, eq=False)
class Program:
    """An exported inference graph that can be run, tapped, patched and differentiated."""

    inputs: tuple[InputTensor, ...]
    nodes: tuple[Node, ...]
    output_names: tuple[str, ...]
    """Names of the outputs in the graph."""
    state: tuple[StateTensor, ...]
    tensors: Mapping[str, torch.Tensor]
    """Tensors by graph name, one for every entry of `state`."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """JSON of the archive, read by the writer only."""
    output_paths: tuple[str, ...] = ()
    """Names of the outputs for users of the program, such as `logits` or `[0]`."""
    returned: str = ""
    """Class of transformers that the archive returns; here and in a bundle a plain container."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs in the graph."""
        return tuple(tensor.name for tensor in self.inputs)

    @property
    def input_shapes(self) -> tuple[tuple[int | None, ...], ...]:
        """The shape of each input; None where any size was declared."""
        return tuple(tensor.shape for tensor in self.inputs)

    @property
    def parameters(self) -> dict[str, torch.Tensor]:
        """The parameters by their qualified names in the module."""
        return self._of_kind("parameter")

    @property
    def buffers(self) -> dict[str, torch.Tensor]:
        """The buffers by their qualified names in the module."""
        return self._of_kind("buffer")

    @property
    def constants(self) -> dict[str, torch.Tensor]:
        """Tensors that the module's code held without registering them."""
        return self._of_kind("constant")

    def _of_kind(self, kind: str) -> dict[str, torch.Tensor]:
        return {entry.qualified_name: self.tensors[entry.name] for entry in self.state if entry.kind == kind}

    @cached_property
    def plan(self) -> Plan:
        """The compiled steps over this program's own state."""
        return compile_plan(self.nodes, self.input_names, self.output_names, self.tensors, self.device)

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """The node that defines each intermediate value."""
        return {name: node for node in self.nodes for name in node.results}

    def with_output(self, position: int) -> Program:
        """Return the program with one of its outputs alone; written to a file, it still has all of them."""
        if len(self.output_names) == 1:
            return self
        return replace(self, output_names=(self.output_names[position],), output_paths=(self.output_paths[position],))

    def to(self, device: torch.device | str) -> Program:
        """Return the program with its state on another device."""
        target = torch.device(device)
        if target == self.device:
            return self
        return replace(self, tensors={name: tensor.to(target) for name, tensor in self.tensors.items()}, device=target)

    def __call__(self, *inputs: torch.Tensor) -> Any:
        """Return the first output, or a tuple of all where there are several; differentiable in the inputs."""
        return run_plan(self.plan, inputs)

    def run(
        self,
        *inputs: torch.Tensor,
        taps: Collection[str] | None = None,
        patches: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] | None = None,
    ) -> tuple[tuple[Any, ...], dict[str, torch.Tensor]]:
        """Return all outputs and the tapped values by name; a patch replaces a value before anyone uses it.

        `taps=None` taps every intermediate tensor.
        """
        patches = patches or {}
        unknown = {*(taps or ()), *patches} - self.producers.keys()
        if unknown:
            raise ValueError(f"no node of the program is named {min(unknown)!r}")
        plan = self.plan
        slots = _start(plan, inputs)
        tapped: dict[str, torch.Tensor] = {}
        for stage in plan.stages:
            try:
                stage.step(slots)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                raise _failed(stage.where, error) from error
            for name, slot in stage.results:
                if name in patches:
                    slots[slot] = patches[name](slots[slot])
                if (taps is None or name in taps) and isinstance(slots[slot], torch.Tensor):
                    tapped[name] = slots[slot]
            for slot in stage.dead:
                slots[slot] = None
        return tuple(slots[slot] for slot in plan.outputs), tapped


def weightless_inputs(program: Program, samples: int | None = None) -> dict[str, torch.Tensor]:
    """Return inputs by name that have only shapes and types: of so many samples, else of as many as were exported.

    Sizes that the export left free are one, the number of samples too.
    """

    def shape(exported: tuple[int | None, ...]) -> list[int]:
        sizes = [size or 1 for size in exported]
        return sizes if samples is None else [samples, *sizes[1:]]

    return {
        source.name: torch.empty(shape(source.exported_shape), dtype=source.dtype, device=NOWHERE)
        for source in program.inputs
    }


def run_plan(plan: Plan, inputs: tuple[torch.Tensor, ...], state: Sequence[torch.Tensor] = ()) -> Any:
    """Run a plan, on other state if given, and return its first output, or a tuple of all where there are several."""
    slots = _start(plan, inputs)
    slots[: len(state)] = state
    stage = None
    try:
        for stage in plan.stages:
            stage.step(slots)
            for slot in stage.dead:
                slots[slot] = None
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise _failed(stage.where if stage else "graph", error) from error
    outputs = tuple(slots[slot] for slot in plan.outputs)
    return outputs[0] if len(outputs) == 1 else outputs


def _start(plan: Plan, inputs: tuple[torch.Tensor, ...]) -> list[Any]:
    """Return fresh slots with the inputs in place."""
    if len(inputs) != len(plan.inputs):
        raise ValueError(f"the program takes {len(plan.inputs)} inputs, got {len(inputs)}")
    slots = plan.slots.copy()
    for slot, value in zip(plan.inputs, inputs, strict=True):
        slots[slot] = value
    return slots


def _failed(where: str, error: Exception) -> RefusedError:
    """Return the refusal for an operator that did not accept what the graph gave it."""
    return RefusedError(where, f"the operator failed: {type(error).__name__}: {error}")
