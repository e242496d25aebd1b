"""A program made trainable: batch statistics that learn, dropout that drops; for references and for repairs.

The archive holds the inference graph of an architecture. `trainable` keeps its operators, gives every parameter a fresh
value that suits its use, or the archive's own for a repair, and puts normalisation and dropout into training mode.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn
from torch.nn import functional

from gate.programs.overloads import DROPOUTS, RECURRENT, TRANSPOSING
from gate.programs.plan import compile_plan
from gate.programs.program import run_plan
from gate.programs.refused import RefusedError
from gate.programs.schema import Name

if TYPE_CHECKING:
    from gate.programs.nodes import Node
    from gate.programs.plan import Plan
    from gate.programs.program import Program

_MATRIX_PRODUCTS: Final = frozenset({"addmm", "mm", "matmul", "bmm"})
_LINEAR: Final = _MATRIX_PRODUCTS | {
    "linear", "convolution", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
}  # fmt: skip
_NORMS: Final = frozenset({
    "batch_norm", "_native_batch_norm_legit_no_training", "group_norm", "native_group_norm", "layer_norm",
    "native_layer_norm", "instance_norm", "rms_norm",
})  # fmt: skip
_PASSING: Final = TRANSPOSING | {
    "view", "reshape", "expand", "unsqueeze", "squeeze", "to", "_to_copy", "alias", "detach", "clone", "contiguous",
    "reshape_as", "lift_fresh", "select", "slice", "split", "chunk", "unbind",
}  # fmt: skip
_SMALL_DEVIATION: Final = 0.02
"""Standard deviation with which transformers commonly start class tokens, positions and embeddings."""
_NORM_BIAS: Final = {"layer_norm": 3, "native_layer_norm": 3, "group_norm": 3}
"""Position of the bias among the arguments; 2 for all other norms."""


class TrainableProgram(nn.Module):
    """A module with the architecture of a program and its own parameters; eval mode is the program's own graph."""

    def __init__(self, program: Program, seed: int, *, keep: bool = False, gain: float = 1.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        uses = _uses(program)
        self._program = program
        self._plans: dict[tuple[bool, torch.device], Plan] = {}
        self.places: dict[str, str] = {}
        """Name of this module's parameter or buffer, by the graph's name of each entry of the program's state."""
        for entry in program.state:
            place = f"{entry.kind}_{len(self.places)}"
            original = program.tensors[entry.name].cpu()
            if entry.kind == "parameter" and original.is_floating_point():
                start = original.clone() if keep else _fresh(original, uses.get(entry.name), generator, gain)
                self.register_parameter(place, nn.Parameter(start.to(program.device)))
            else:
                start = original.clone() if keep else _fresh_buffer(original, entry.qualified_name)
                self.register_buffer(place, start.to(program.device))
            self.places[entry.name] = place

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Return what the program's graph yields with this module's parameters."""
        state = [getattr(self, place) for place in self.places.values()]
        return run_plan(self._plan(state[0].device), inputs, state)

    def to_program(self) -> Program:
        """Return the program with the values that were trained, detached."""
        tensors = {name: getattr(self, place).detach().clone() for name, place in self.places.items()}
        return replace(self._program, tensors=tensors, device=next(iter(tensors.values())).device)

    def _plan(self, device: torch.device) -> Plan:
        """Return the steps of the present mode, compiled once; the state is put in anew at every run."""
        key = (self.training, device)
        if key not in self._plans:
            program = self._program
            nodes = tuple(map(_training_node, program.nodes)) if self.training else program.nodes
            self._plans[key] = compile_plan(nodes, program.input_names, program.output_names, program.tensors, device)
        return self._plans[key]


def trainable(program: Program, seed: int, *, keep: bool = False, gain: float = 1.0) -> TrainableProgram:
    """Return a module of the program's architecture in training mode; its values are fresh, or copies of the program's.

    With `keep` every parameter and buffer starts from the archive's own value, and the program stays as it is. `gain`
    scales the fresh weights of layers: 1 is He's start, 0.41 that of torch's own layers.
    """
    if not program.parameters:
        raise RefusedError("parameters", "the program has none that could be trained")
    return TrainableProgram(program, seed, keep=keep, gain=gain).train()


def _training_node(node: Node) -> Node:
    """Return the node in training mode, if it is one that differs there."""
    if node.call.name in DROPOUTS:
        values = (*node.call.positional[:2], True)
        return replace(node, call=replace(node.call, positional=values), target=f"training.{node.call.name}")
    if node.call.name == "batch_norm":
        call = replace(node.call, function=_train_batch_norm, positional=node.call.positional[:8])
        return replace(node, call=call, target="training.batch_norm")
    if node.call.name == "_native_batch_norm_legit_no_training":
        call = replace(node.call, name="batch_norm", function=_train_decomposed_batch_norm)
        return replace(node, call=call, target="training.batch_norm")
    return node


def _train_batch_norm(*arguments: Any) -> torch.Tensor:
    """Normalise by the batch and let the running statistics follow it; arguments as of aten's `batch_norm`."""
    x, weight, bias, mean, variance, _, momentum, eps = arguments
    return functional.batch_norm(x, mean, variance, weight, bias, training=True, momentum=momentum, eps=eps)


def _train_decomposed_batch_norm(*arguments: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Do the same for the decomposed operator, whose two further results are not used at inference."""
    x, weight, bias, mean, variance, momentum, eps = arguments
    y = functional.batch_norm(x, mean, variance, weight, bias, training=True, momentum=momentum, eps=eps)
    return y, x.new_zeros(0), x.new_zeros(0)


def _uses(program: Program) -> dict[str, tuple[str, int, bool]]:
    """Return for each parameter the operator that it enters, at which argument, and whether it is transposed before."""
    origin = {entry.name: (entry.name, False) for entry in program.state}
    uses: dict[str, tuple[str, int, bool]] = {}
    for node in program.nodes:
        for position, value in enumerate(node.call.positional):
            members = value if isinstance(value, tuple) else (value,)
            for member in members:
                source = origin.get(member.name) if isinstance(member, Name) else None
                if source is None:
                    continue
                name, transposed = source
                if node.call.name in _PASSING:
                    transposed ^= node.call.name in TRANSPOSING
                    origin.update(dict.fromkeys(node.results, (name, transposed)))
                else:
                    uses.setdefault(name, (node.call.name, position, transposed))
    return uses


def _fresh(
    original: torch.Tensor, use: tuple[str, int, bool] | None, generator: torch.Generator, gain: float
) -> torch.Tensor:
    """Return a start value for a parameter: what its operator asks for, else small noise."""
    operator, position, transposed = use or ("", 0, False)
    shape, dtype = original.shape, original.dtype
    if operator in RECURRENT:
        bound = 1 / math.sqrt(max(shape[0] // 4, 1))
        return torch.empty(shape, dtype=dtype).uniform_(-bound, bound, generator=generator)
    if operator in _NORMS:
        return torch.full(shape, 0.0 if position == _NORM_BIAS.get(operator, 2) else 1.0, dtype=dtype)
    if original.ndim <= 1 and (operator in _LINEAR or operator == "add"):
        return torch.zeros(shape, dtype=dtype)
    if operator in _LINEAR:
        fan_in = shape[0] if operator in _MATRIX_PRODUCTS and not transposed else math.prod(shape[1:])
        return torch.empty(shape, dtype=dtype).normal_(0, gain * math.sqrt(2 / max(fan_in, 1)), generator=generator)
    if operator in {"mul", "prelu"}:
        return torch.full(shape, 0.25 if operator == "prelu" else 1.0, dtype=dtype)
    return torch.empty(shape, dtype=dtype).normal_(0, _SMALL_DEVIATION, generator=generator)


def _fresh_buffer(original: torch.Tensor, name: str) -> torch.Tensor:
    """Return running statistics as at the start; any other buffer or constant belongs to the architecture."""
    if name.endswith(("running_mean", "num_batches_tracked")):
        return torch.zeros_like(original)
    return torch.ones_like(original) if name.endswith("running_var") else original.clone()
