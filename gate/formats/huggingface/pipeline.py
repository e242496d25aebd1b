"""A pipeline's folder as one value: every file read by its grammar, and none contradicting another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gate.formats.huggingface.config import class_of, config_faults
from gate.formats.huggingface.flavour import CONFIG, NAME, PROCESSOR, WEIGHTS, Task, task_of
from gate.formats.huggingface.image_processor import Images, plain_name, processor_faults, read_images
from gate.formats.mlmodel import MAX_BYTES, MLmodel, read_mlmodel
from gate.formats.safetensors import check_safetensors
from gate.formats.source import Source, UnreadableError, open_source
from gate.records.errors import GateError
from gate.records.record import parse_json, read_bounded

_MAX_JSON: Final = 16 << 20
"""Bytes of a configuration: that of a network of 20,000 labels has two million."""


@dataclass(frozen=True)
class Pipeline:
    """What `mlflow.transformers` would load, as plain values."""

    task: Task
    network: str
    """Class of transformers."""
    config: Mapping[str, Any]
    labels: Mapping[int, str]
    """The classes' names: the candidate's own word."""
    weights: Path
    images: Images
    version: str
    """The version of transformers that the candidate names; its own word."""


def pipeline_faults(root: Path, model: MLmodel, task: Task) -> Iterator[tuple[str, str]]:
    """Yield each file of a pipeline that is missing or not by its grammar, and why in a sentence."""
    flavour = model.flavors[NAME]
    for path, read in ((CONFIG, _config), (WEIGHTS, _weights), (PROCESSOR, _processor)):
        if not (root / path).exists():
            yield path, "MLflow writes it for this task, and it is not there: log the model again"
            continue
        try:
            with open_source(root / path) as source:
                yield from ((path, fault) for fault in read(source, flavour, task))
        except GateError as error:
            yield path, str(error)


def _config(source: Source, flavour: Mapping[str, Any], task: Task) -> Iterator[str]:
    given = _json(source, CONFIG)
    yield from config_faults(given, task.architectures)
    if isinstance(given, dict) and class_of(given) != flavour.get("pipeline_model_type"):
        yield "its class is not the one that MLmodel names under 'pipeline_model_type'"


def _weights(source: Source, _flavour: Mapping[str, Any], _task: Task) -> Iterator[str]:
    check_safetensors(source)
    yield from ()


def _processor(source: Source, flavour: Mapping[str, Any], _task: Task) -> Iterator[str]:
    given = _json(source, PROCESSOR)
    faults = list(processor_faults(given))
    yield from faults
    if not faults:
        read_images(given)
        if plain_name(given["image_processor_type"]) != plain_name(flavour.get("image_processor_type")):
            yield "its class is not the one that MLmodel names under 'image_processor_type'"


def _json(source: Source, path: str) -> Any:
    return parse_json(source.whole(_MAX_JSON, path), what=path, limit=_MAX_JSON)


def read_pipeline(root: Path) -> Pipeline | None:
    """Return an artifact's pipeline; None where its flavour or task is another; a fault is an `UnreadableError`."""
    model = read_mlmodel(read_bounded(root / "MLmodel", limit=MAX_BYTES))
    task = task_of(model)
    if task is None:
        return None
    for path, fault in pipeline_faults(root, model, task):
        raise UnreadableError(f"{path}: {fault}")
    config, processor = (_json_at(root, path) for path in (CONFIG, PROCESSOR))
    return Pipeline(
        task=task,
        network=class_of(config),
        config=config,
        labels={int(number): label for number, label in config.get("id2label", {}).items()},
        weights=root / WEIGHTS,
        images=read_images(processor),
        version=str(model.flavors[NAME].get("transformers_version", "")),
    )


def _json_at(root: Path, path: str) -> Any:
    with open_source(root / path) as source:
        return _json(source, path)
