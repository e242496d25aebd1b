"""An adapter's folder as one value: configuration and tensors by their grammars, neither contradicting the other."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gate.formats.adapters.config import MAX_BYTES, AdapterConfig, read_config
from gate.formats.adapters.places import Place, place_of
from gate.formats.adapters.tensors import Module, Tensors, tensor_faults, tensors_of_adapter
from gate.formats.mlmodel import MAX_BYTES as MAX_MLMODEL
from gate.formats.mlmodel import MLmodel, read_mlmodel
from gate.formats.safetensors import Tensor, tensors_of
from gate.formats.source import UnreadableError, open_source
from gate.records.adapters import MAX_NAMED, AdapterFacts
from gate.records.facts import PIPELINES

_PICKLED: Final = ("adapter_model.bin", "adapter_model.pt")


@dataclass(frozen=True)
class Adapter:
    """An adapter without faults."""

    place: Place
    config: AdapterConfig
    tensors: Tensors
    path: Path
    """File of the tensors."""
    flavour: Mapping[str, Any]
    """What `MLmodel` says of it; empty where it lies alone."""

    @property
    def modules(self) -> tuple[Module, ...]:
        """The modules that it changes."""
        return self.tensors.modules

    @property
    def is_pinned(self) -> bool:
        """Whether it names its base by a commit: in its configuration, or in `MLmodel`."""
        return self.config.is_pinned or bool(self.flavour.get("source_model_revision"))

    @property
    def facts(self) -> AdapterFacts:
        """What the report and a bank need to know of it."""
        ranks = [module.rank for module in self.modules] or [self.config.value["r"]]
        return AdapterFacts(
            parameterisation=self.config.kind,
            least_rank=min(ranks),
            greatest_rank=max(ranks),
            modules=len(self.modules),
            families=tuple(sorted({module.family for module in self.modules}))[:MAX_NAMED],
            whole=tuple(sorted({name.rpartition(".")[0] for name in self.tensors.whole}))[:MAX_NAMED],
            named_base=(self.config.base or str(self.flavour.get("source_model_name", "")))[:2000],
            revision=(self.config.revision or str(self.flavour.get("source_model_revision", "")))[:2000],
        )


def mlmodel_of(root: Path) -> MLmodel | None:
    """Return an artifact's `MLmodel`; None where there is none that can be read, which other counts say."""
    try:
        with open_source(root / "MLmodel") as source:
            return read_mlmodel(source.whole(MAX_MLMODEL, "MLmodel"))
    except UnreadableError:
        return None


def adapter_faults(root: Path, place: Place) -> Iterator[tuple[str, str]]:
    """Yield each file of an adapter that is missing or not by its grammar, and why in a sentence."""
    try:
        config = _config(root, place)
    except UnreadableError as error:
        yield place.config, str(error)
        return
    try:
        found = _header(root, place)
    except UnreadableError as error:
        yield place.tensors, str(error)
        return
    yield from ((place.tensors, why) for why in tensor_faults(found, config))


def read_adapter(root: Path, paths: Collection[str]) -> Adapter | None:
    """Return an artifact's adapter; None where it is none; the first fault is an `UnreadableError`."""
    model = mlmodel_of(root)
    place = place_of(model, paths)
    if place is None:
        return None
    for path, fault in adapter_faults(root, place):
        raise UnreadableError(f"{path}: {fault}")
    config = _config(root, place)
    flavour = model.flavors[PIPELINES] if model is not None else {}
    return Adapter(place, config, tensors_of_adapter(_header(root, place), config), root / place.tensors, flavour)


def _config(root: Path, place: Place) -> AdapterConfig:
    _require(root, place.config)
    with open_source(root / place.config) as source:
        return read_config(source.whole(MAX_BYTES, place.config))


def _header(root: Path, place: Place) -> dict[str, Tensor]:
    _require(root, place.tensors)
    with open_source(root / place.tensors) as source:
        return tensors_of(source)


def _require(root: Path, path: str) -> None:
    if (root / path).exists():
        return
    pickled = next((name for name in _PICKLED if ((root / path).parent / name).exists()), "")
    if pickled:
        raise UnreadableError(
            f"it is not there, and {pickled} is a pickle, which runs code: save the adapter again by save_pretrained"
        )
    raise UnreadableError("it is not there: log the adapter again")
