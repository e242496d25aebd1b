"""`adapter_model.safetensors`, its header checked against the configuration: each pair whole, and no tensor left over.

PEFT ignores a tensor that no module of its own takes, and makes anew one that is missing: what a file holds beyond the
configuration, or lacks of it, is a fault, since another reader might take it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from gate.formats.adapters.config import AdapterConfig
from gate.formats.safetensors import Tensor

NAME: Final = "adapter_model.safetensors"
PREFIX: Final = "base_model.model."
DOWN, UP, MAGNITUDE = "lora_A.weight", "lora_B.weight", "lora_magnitude_vector"
_PART: Final = re.compile(r"(?P<module>.+)\.(?P<part>lora_A\.weight|lora_B\.weight|lora_magnitude_vector)(\.weight)?")
_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,100}(\.[A-Za-z0-9_]{1,100}){0,30}", re.ASCII)
_LAYER: Final = re.compile(r"\.(\d{1,4})\.")
_TYPES: Final = ("F32", "F16", "BF16")
_MAX_TENSORS: Final = 20_000


@dataclass(frozen=True)
class Module:
    """The update of one linear module: scale · B · A, and in DoRA the magnitudes of its outputs."""

    name: str
    """The module's name in the base, such as `model.layers.0.self_attn.q_proj`."""
    down: Tensor
    """A: (rank, inputs)."""
    up: Tensor
    """B: (outputs, rank)."""
    scale: float
    magnitude: Tensor | None = None
    """(outputs,); None without DoRA."""

    @property
    def rank(self) -> int:
        """The rank of the update."""
        return self.down.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the base's weight: (outputs, inputs)."""
        return self.up.shape[0], self.down.shape[1]

    @property
    def family(self) -> str:
        """The last part of its name, which the same module of every layer shares."""
        return self.name.rpartition(".")[2]

    @property
    def layer(self) -> int | None:
        """The number of its layer; None where its name has none."""
        found = _LAYER.search(self.name)
        return int(found[1]) if found else None


@dataclass(frozen=True)
class Tensors:
    """An adapter's tensors without faults."""

    modules: tuple[Module, ...]
    """In the order of their names."""
    whole: Mapping[str, Tensor] = field(default_factory=dict)
    """Tensors of modules that are stored whole, by their names in the base."""


def tensor_faults(found: Mapping[str, Tensor], config: AdapterConfig) -> Iterator[str]:
    """Yield where a header is not that of the configuration's adapter."""
    if len(found) > _MAX_TENSORS:
        yield f"it holds {len(found)} tensors; the gate reads at most {_MAX_TENSORS}"
        return
    parts, whole, left = _sorted(found, config)
    yield from (f"the tensor {name[:120]!r} is none of the adapter that the configuration states" for name in left[:5])
    if len(left) > 5:
        yield f"and {len(left) - 5} further tensors are not either"
    if not parts and not whole:
        yield "it holds no update of any module"
    for name, one in (*found.items(),):
        if name not in left and one.dtype not in _TYPES:
            yield f"the tensor {name[:120]!r} is of the type {one.dtype}; the gate reads {', '.join(_TYPES)}"
    for module in sorted(parts):
        yield from (f"{module[:120]}: {why}" for why in _of_module(module, parts[module], config))
    wanted = [name for name in config.whole if not any(_is_of(tensor, name) for tensor in whole)]
    yield from (f"the module {name[:120]!r} of 'modules_to_save' has no tensor" for name in wanted[:5])
    wanted = [one for one in config.value["target_modules"] if not any(_ends(module, one) for module in parts)]
    yield from (f"the module {name[:120]!r} of 'target_modules' has no update" for name in wanted[:5])


_Parts = dict[str, dict[str, Tensor]]


def _sorted(found: Mapping[str, Tensor], config: AdapterConfig) -> tuple[_Parts, dict[str, Tensor], list[str]]:
    """Return the parts of each module's update, the tensors of whole modules, and the names of all others."""
    parts: _Parts = {}
    whole: dict[str, Tensor] = {}
    left: list[str] = []
    for name, tensor in found.items():
        own = name.removeprefix(PREFIX)
        match = _PART.fullmatch(own)
        module, part = (match["module"], match["part"]) if match else ("", "")
        if own == name or _NAME.fullmatch(own) is None:
            left.append(name)
        elif match is not None and config.targets(module) and part not in parts.get(module, ()):
            parts.setdefault(module, {})[part] = tensor
        elif match is None and any(_is_of(own, saved) for saved in config.whole):
            whole[own] = tensor
        else:
            left.append(name)
    return parts, whole, left


def _is_of(tensor: str, module: str) -> bool:
    """Tell whether a tensor is a weight or bias of a module, or of one inside it."""
    return f".{module}." in f".{tensor}" and tensor.rpartition(".")[2] in {"weight", "bias"}


def _ends(module: str, target: str) -> bool:
    return module == target or module.endswith(f".{target}")


def _of_module(name: str, parts: Mapping[str, Tensor], config: AdapterConfig) -> Iterator[str]:
    """Yield where the parts of one module's update are incomplete or of other sizes than the configuration's."""
    rank, wanted = config.rank(name), {DOWN, UP, *((MAGNITUDE,) if config.dora else ())}
    if missing := sorted(wanted - set(parts)):
        yield f"it has no {missing[0]}"
        return
    if surplus := sorted(set(parts) - wanted):
        yield f"it has a {surplus[0]}, and the configuration states {config.kind}"
        return
    down, up = parts[DOWN].shape, parts[UP].shape
    if len(down) != 2 or len(up) != 2 or down[0] != rank or up[1] != rank or 0 in (*down, *up):
        yield f"A is {_form(down)} and B is {_form(up)}; expected (rank, inputs) and (outputs, rank) of rank {rank}"
    elif config.dora and parts[MAGNITUDE].shape != (up[0],):
        yield f"its magnitudes are {_form(parts[MAGNITUDE].shape)}; expected one for each of {up[0]} outputs"


def _form(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape[:8]))})"


def tensors_of_adapter(found: Mapping[str, Tensor], config: AdapterConfig) -> Tensors:
    """Return the modules of a header without faults."""
    parts, whole, _ = _sorted(found, config)
    made = (
        Module(name, one[DOWN], one[UP], config.scale(name), one.get(MAGNITUDE)) for name, one in sorted(parts.items())
    )
    return Tensors(tuple(made), whole)
