"""A pipeline's folder as one value: every file read by its grammar, and none contradicting another."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gate.formats.huggingface.config import class_of, config_faults
from gate.formats.huggingface.flavour import (
    CONFIG,
    COPIED,
    MARKS,
    NAME,
    PROCESSOR,
    SETTINGS,
    TEXT_TASK,
    TOKENIZER,
    WEIGHTS,
    Task,
    task_of,
)
from gate.formats.huggingface.image_processor import Images, processor_faults, read_images
from gate.formats.huggingface.image_processor import plain_name as plain_processor
from gate.formats.huggingface.texts import Texts, texts_faults, texts_of
from gate.formats.huggingface.tokenizer_settings import copy_faults, mark_map_faults, plain_name, settings_faults
from gate.formats.mlmodel import MAX_BYTES, MLmodel, read_mlmodel
from gate.formats.safetensors import check_safetensors
from gate.formats.source import Source, UnreadableError, open_source
from gate.formats.tokenizers.file import MAX_BYTES as MAX_TOKENIZER
from gate.formats.tokenizers.file import TokenizerFile, read_tokenizer
from gate.records.errors import GateError
from gate.records.record import parse_json, read_bounded

_MAX_JSON: Final = 16 << 20
"""Bytes of a configuration: that of a network of 20,000 labels has two million."""
_NOT_THERE: Final = "MLflow writes it for this task, and it is not there: log the model again"
_MISSING: Final = {
    TOKENIZER: "it is not there: log the pipeline with a fast tokenizer, which save_pretrained of transformers 5 writes"
}


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
    given: Images | Texts
    """What the pipeline makes of an image, or of a text, before the network."""
    version: str
    """The version of transformers that the candidate names; its own word."""


def pipeline_faults(root: Path, model: MLmodel, task: Task) -> Iterator[tuple[str, str]]:
    """Yield each file of a pipeline that is missing or not by its grammar, and why in a sentence."""
    flavour, broken = model.flavors[NAME], False
    for path, read in _READERS.items():
        if path not in (*task.files, *task.optional):
            continue
        for fault in _faults_of(root, path, read, flavour, task):
            broken = True
            yield path, fault
    if task is TEXT_TASK and not broken:
        yield from _between(root, task)


def _faults_of(root: Path, path: str, read: "_Reader", flavour: Mapping[str, Any], task: Task) -> Iterator[str]:
    if not (root / path).exists():
        if path in task.files:
            yield _MISSING.get(path, _NOT_THERE)
        return
    try:
        with open_source(root / path) as source:
            yield from read(source, flavour, task)
    except GateError as error:
        yield str(error)


def _between(root: Path, task: Task) -> Iterator[tuple[str, str]]:
    """Yield where files of a text classifier, each without faults, contradict each other."""
    config, texts = _texts(root, task)
    architecture = task.architectures[class_of(config)]
    yield from ((TOKENIZER, fault) for fault in texts_faults(texts, config, architecture))
    for path in COPIED:
        if (root / path).exists():
            raw = read_bounded(root / path, limit=MAX_TOKENIZER)
            yield from ((path, fault) for fault in copy_faults(Path(path).name, raw, texts.tokenizer))


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
        if plain_processor(given["image_processor_type"]) != plain_processor(flavour.get("image_processor_type")):
            yield "its class is not the one that MLmodel names under 'image_processor_type'"


def _tokenizer(source: Source, _flavour: Mapping[str, Any], _task: Task) -> Iterator[str]:
    _read_tokenizer(source)
    yield from ()


def _settings(source: Source, flavour: Mapping[str, Any], _task: Task) -> Iterator[str]:
    given = _json(source, SETTINGS)
    faults = list(settings_faults(given))
    yield from faults
    if not faults and plain_name(given["tokenizer_class"]) != plain_name(flavour.get("tokenizer_type")):
        yield "its class is not the one that MLmodel names under 'tokenizer_type'"


def _marks(source: Source, _flavour: Mapping[str, Any], _task: Task) -> Iterator[str]:
    yield from mark_map_faults(_json(source, MARKS))


_Reader = Callable[[Source, Mapping[str, Any], Task], Iterator[str]]
_READERS: Final[Mapping[str, _Reader]] = {
    CONFIG: _config,
    WEIGHTS: _weights,
    PROCESSOR: _processor,
    TOKENIZER: _tokenizer,
    SETTINGS: _settings,
    MARKS: _marks,
}
"""How each file is read by itself."""


def _json(source: Source, path: str) -> Any:
    return parse_json(source.whole(_MAX_JSON, path), what=path, limit=_MAX_JSON)


def _read_tokenizer(source: Source) -> TokenizerFile:
    return read_tokenizer(source.whole(MAX_TOKENIZER, TOKENIZER))


def read_pipeline(root: Path) -> Pipeline | None:
    """Return an artifact's pipeline; None where its flavour or task is another; a fault is an `UnreadableError`."""
    model = read_mlmodel(read_bounded(root / "MLmodel", limit=MAX_BYTES))
    task = task_of(model)
    if task is None:
        return None
    for path, fault in pipeline_faults(root, model, task):
        raise UnreadableError(f"{path}: {fault}")
    config, given = _texts(root, task) if task is TEXT_TASK else _images(root)
    return Pipeline(
        task=task,
        network=class_of(config),
        config=config,
        labels={int(number): label for number, label in config.get("id2label", {}).items()},
        weights=root / WEIGHTS,
        given=given,
        version=str(model.flavors[NAME].get("transformers_version", "")),
    )


def _images(root: Path) -> tuple[Mapping[str, Any], Images]:
    return _json_at(root, CONFIG), read_images(_json_at(root, PROCESSOR))


def _texts(root: Path, task: Task) -> tuple[Mapping[str, Any], Texts]:
    config, settings = (_json_at(root, path) for path in (CONFIG, SETTINGS))
    with open_source(root / TOKENIZER) as source:
        tokenizer = _read_tokenizer(source)
    folder = (root / TOKENIZER).parent
    return config, texts_of(tokenizer, settings, config, task.architectures[class_of(config)], folder)


def _json_at(root: Path, path: str) -> Any:
    with open_source(root / path) as source:
        return _json(source, path)
