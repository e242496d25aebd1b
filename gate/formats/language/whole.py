"""A whole language model's folder as one value: configuration, weights and their index, none contradicting another."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from gate.formats.adapters.adapter import mlmodel_of
from gate.formats.adapters.base import BaseModel, Stored, json_at
from gate.formats.huggingface.language_classes import network_of
from gate.formats.language.places import CONFIG, INDEX, WEIGHTS, Place, place_of
from gate.formats.mlmodel import MLmodel
from gate.formats.safetensors import tensors_of
from gate.formats.source import UnreadableError, open_source
from gate.records.facts import PIPELINES
from gate.records.languages import LanguageFacts

_MAX_NAME: Final = 120


@dataclass(frozen=True)
class WholeModel:
    """A language model without faults."""

    place: Place
    config: Mapping[str, Any]
    model: BaseModel
    """Its files, read as those of a base are."""

    @property
    def facts(self) -> LanguageFacts:
        """What the report and a bank need to know of it."""
        tensors = [one.tensor for one in self.model.weights.values()]
        return LanguageFacts(
            network=network_of(self.config)[:_MAX_NAME],
            tensors=len(tensors),
            number_types=tuple(sorted({one.dtype for one in tensors})),
        )


def is_language(root: Path, declared: MLmodel | None, paths: Collection[str]) -> bool:
    """Tell whether an artifact is a language model by its `MLmodel`, or by the configuration that lies alone."""
    place = place_of(declared, paths)
    if place is None or not place.is_alone:
        return place is not None
    try:
        return bool(network_of(json_at(root / CONFIG)))
    except UnreadableError:
        return False


def read_whole(root: Path, paths: Collection[str]) -> WholeModel | None:
    """Return an artifact's language model; None where it is none; the first fault is an `UnreadableError`."""
    declared = mlmodel_of(root)
    place = place_of(declared, paths)
    if place is None or not is_language(root, declared, paths):
        return None
    for path, fault in language_faults(root, place, paths):
        raise UnreadableError(f"{path}: {fault}")
    config = json_at(root / place.of_model(CONFIG))
    model = BaseModel(root / place.folder, root / place.tokenizer, _weights(root, place))
    return WholeModel(place, config, model)


def language_faults(root: Path, place: Place, paths: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each file of a language model that is missing or by which two loaders may load other tensors, and why."""
    try:
        network, named = network_of(json_at(root / place.of_model(CONFIG))), _named_by(mlmodel_of(root))
        if not network:
            yield place.of_model(CONFIG), "it names no single language model as its architecture"
        elif named not in {None, network}:
            yield "MLmodel", f"pipeline_model_type is {str(named)[:_MAX_NAME]!r}, and the configuration says {network}"
        yield from _weight_faults(root, place, paths)
    except UnreadableError as error:
        yield place.of_model(CONFIG), f"it or the weights beside it cannot be read: {error}"


def _named_by(declared: MLmodel | None) -> Any:
    """Return the class that MLflow's loader takes; None of a model that lies alone."""
    return None if declared is None else declared.flavors[PIPELINES].get("pipeline_model_type", "none")


def _weight_faults(root: Path, place: Place, paths: Collection[str]) -> Iterator[tuple[str, str]]:
    one, index = place.of_model(WEIGHTS), place.of_model(INDEX)
    parts = {PurePosixPath(path).name for path in paths if path.startswith(place.of_model("model-"))}
    if one in paths:
        for path in sorted({index} & set(paths)) + sorted(map(place.of_model, parts)):
            yield path, f"{WEIGHTS} is loaded in its place: save the model again"
        return
    if index not in paths:
        yield one, "it is not there, and no index of several files: save the model again by save_pretrained"
        return
    given = json_at(root / index)
    named = given.get("weight_map") if isinstance(given, dict) else None
    if not isinstance(named, dict) or not all(isinstance(value, str) for value in named.values()):
        yield index, "it holds no weight_map of names"
    elif set(named.values()) != parts:
        yield index, f"it names {len(set(named.values()))} files, and not those {len(parts)} beside it"
    else:
        yield from ((index, why) for why in _elsewhere(root, place, named))


def _elsewhere(root: Path, place: Place, named: Mapping[str, str]) -> Iterator[str]:
    """Yield the first tensor that lies in another file than the index says, or in none."""
    held = {name: stored.path.name for name, stored in _weights(root, place).items()}
    for name in sorted(named.keys() | held.keys()):
        if named.get(name) != held.get(name):
            yield f"{name[:_MAX_NAME]!r} lies in {held.get(name, 'no file')}, and the index says {named.get(name)}"
            return


def _weights(root: Path, place: Place) -> dict[str, Stored]:
    """Return the tensors of every file of weights; one name in two files is an `UnreadableError`."""
    found: dict[str, Stored] = {}
    for path in sorted((root / place.folder).glob("model*.safetensors")):
        with open_source(path) as source:
            for name, tensor in tensors_of(source).items():
                if name in found:
                    raise UnreadableError(f"{name[:_MAX_NAME]!r} lies in {found[name].path.name} and in {path.name}")
                found[name] = Stored(path, tensor)
    return found
