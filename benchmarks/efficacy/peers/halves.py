"""Cuts a program in the middle, as found on its graph, and gives the second half to run.

Beside the peers that search among inner values. A cut is a value on which alone everything after it depends: inside a
residual block or a dense one two values are alive, so that no cut lies there. Sizes and values made of weights alone
carry nothing of the sample and may cross. Of all cuts those are taken that lie nearest behind half of the layers with a
weight, and of these the one with the fewest numbers a sample, the latest where several have (after the activation).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from gate.programs import Batched, Program
from gate.programs.batching import static_batch
from gate.programs.layers import layers_of
from gate.programs.schema import InputTensor

_SIZES = frozenset({"sym_size", "sym_numel", "sym_stride"})


class NoCutError(ValueError):
    """No single value between the first and the last layer carries the sample."""


@dataclass(frozen=True)
class Cut:
    """A value that alone carries the sample to everything after one of the nodes."""

    value: str
    """Its name in the graph."""
    position: int
    """Of the node after which it alone is alive."""
    layers: int
    """How many layers with a weight have run."""


@dataclass(frozen=True)
class SecondHalf:
    """What comes after the cut."""

    run: Batched
    """From the value (N, …), at the N that it was made for, to the outputs of the program."""
    cut: Cut
    of_layers: int
    """How many layers with a weight the whole program has."""
    seen: torch.Tensor
    """The value (b, …) at the images on which the first half was run."""
    first_passes: int
    """Samples through the first half, which gave the shapes."""


def second_half(body: Batched, images: torch.Tensor) -> SecondHalf:
    """Return the second half of a program for batches of as many embeddings as there are images (N, C, H, W)."""
    program = body.program.with_output(0)
    together = body.mode in {"direct", "relaxed"}
    images = images if together else images[:1].expand(static_batch(program) or 1, *images.shape[1:])
    choice = middle(program)
    with torch.no_grad():
        _, values = program.run(images, taps={cut.value for cut in choice})
        cut = _narrowest(choice, values, len(images))
        rest = program.nodes[cut.position + 1 :]
        others = _crossing(program, cut)
        # Sizes are numbers, not tensors: outputs may be both, taps tensors alone.
        held = replace(program, output_names=(*others, cut.value), output_paths=())(images) if others else ()
    seen = values[cut.value]
    shape = tuple(seen.shape)
    later = replace(
        program,
        inputs=(InputTensor(cut.value, shape, shape, seen.dtype),),
        nodes=rest,
        tensors={**program.tensors, **dict(zip(others, held, strict=False))},
    )
    passes = len(images) * (2 if others else 1)
    return SecondHalf(Batched(later, body.mode), cut, len(layers_of(program)), seen, passes)


def middle(program: Program) -> list[Cut]:
    """Return the cuts nearest to half of the layers, the later half where two are as near, in the order they run."""
    count = len(layers_of(program))
    inner = [cut for cut in cuts(program) if 0 < cut.layers < count]
    if not inner:
        raise NoCutError("the program cannot be cut: between its layers no single value carries the sample")
    nearest = min((cut.layers for cut in inner), key=lambda layers: (abs(2 * layers - count), -layers))
    return [cut for cut in inner if cut.layers == nearest]


def cuts(program: Program) -> Iterator[Cut]:
    """Yield, node after node, the value on which alone everything after the node depends, where there is one."""
    last_use = {name: position for position, node in enumerate(program.nodes) for name in node.operands}
    last_use.update(dict.fromkeys(program.output_names, len(program.nodes)))
    layers, passed = {layer.node for layer in layers_of(program)}, 0
    alive = set(program.input_names)
    for position, node in enumerate(program.nodes):
        if node.call.name not in _SIZES and not alive.isdisjoint(node.operands):
            alive.update(node.results)
        alive = {name for name in alive if last_use.get(name, -1) > position}
        passed += node.name in layers
        if len(alive) == 1:
            yield Cut(next(iter(alive)), position, passed)


def _narrowest(choice: Sequence[Cut], values: dict[str, torch.Tensor], count: int) -> Cut:
    """Return the cut whose value has the fewest numbers a sample, of those that hold the samples one by one."""
    usable = [cut for cut in choice if _by_sample(values.get(cut.value), count)]
    if not usable:
        raise NoCutError("the program cannot be cut: what its middle yields has no row a sample")
    return min(reversed(usable), key=lambda cut: values[cut.value].numel())


def _by_sample(value: torch.Tensor | None, count: int) -> bool:
    return value is not None and value.is_floating_point() and value.ndim > 1 and len(value) == count


def _crossing(program: Program, cut: Cut) -> tuple[str, ...]:
    """Return the names of all other values from before a cut that are used after it: sizes, and weights made ready."""
    rest = program.nodes[cut.position + 1 :]
    made = {name for node in rest for name in node.results} | program.tensors.keys() | {cut.value}
    used = dict.fromkeys(name for node in rest for name in node.operands)
    return tuple(name for name in used if name not in made)
