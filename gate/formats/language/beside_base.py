"""A whole language model beside its base: other tensors, other settings, another tokenizer; each counted and named."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gate.formats.adapters.base import BaseModel
from gate.formats.adapters.beside_base import setting_differences
from gate.formats.adapters.places import GENERATION
from gate.formats.language.places import CONFIG
from gate.formats.language.whole import WholeModel

_INERT: Final = frozenset({"_name_or_path", "dtype", "torch_dtype", "use_cache"})
"""Settings of a network that say by whom it was loaded, in which type, and how quickly."""
_CODE: Final = "auto_map"
_FROM: Final = frozenset({"_from_model_config"})


def foreign_tensors(own: WholeModel, base: BaseModel) -> Iterator[tuple[Path, str]]:
    """Yield the file of each tensor that the other side does not have, or has in another shape, and how."""
    mine, theirs = own.model.weights, base.weights
    for name in sorted(mine.keys() | theirs.keys()):
        if name not in theirs:
            yield mine[name].path, f"the base has no {name[:120]}"
        elif name not in mine:
            yield own.model.folder / CONFIG, f"{name[:120]} of the base is in none of its files"
        elif mine[name].tensor.shape != theirs[name].tensor.shape:
            yield (
                mine[name].path,
                f"{name[:120]} is {theirs[name].tensor.shape} in the base and {mine[name].tensor.shape} here",
            )


def config_differences(own: WholeModel, base: BaseModel, ignored: frozenset[str]) -> Iterator[str]:
    """Yield how its configuration differs from the base's; a class of its own counts even where the base has it."""
    yield from setting_differences(dict(own.config), base.config(), base, _INERT | ignored | {_CODE}, also_gone=True)
    if _CODE in own.config:
        yield f"{_CODE!r} names code that a consumer's loader may run"


def generation_changes(own: WholeModel, base: BaseModel, ignored: frozenset[str]) -> Iterator[str]:
    """Yield how its settings of generation differ from the base's, those that it lacks among them."""
    yield from setting_differences(
        own.model.config(GENERATION) or {}, base.generation or {}, base, ignored | _FROM, also_gone=True
    )
