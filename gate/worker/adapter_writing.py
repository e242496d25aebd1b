"""The writer of adapters: tensors, configuration and tokenizer anew, of what was parsed; no torch, no PEFT, no code."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gate.formats.adapters.adapter import Adapter, read_adapter
from gate.formats.adapters.base import BaseModel, json_at, read_base
from gate.formats.adapters.places import TOKENIZER_FILES
from gate.formats.huggingface.language_classes import NETWORKS, TOKENIZERS
from gate.formats.huggingface.tokenizer_settings import mark_map_faults
from gate.formats.safetensors import Tensor, tensors_of
from gate.formats.sealing import ChangedError, Seal
from gate.formats.source import Source, UnreadableError, open_source
from gate.formats.templates.places import DEFAULT, TEMPLATE_KEYS, templates_in
from gate.records.artifact import Artifact, file_sha256
from gate.records.errors import GateError, UnexaminableError
from gate.records.job import TOKENIZER_FILE, WRITTEN_FILE, ScanJob, ScanResult
from gate.records.record import canonical_json
from gate.records.written_adapter import WrittenAdapter
from gate.worker.output import say_progress

_OF_A_BUNDLE: Final = {"base_model_name_or_path": None, "revision": None, "init_lora_weights": True}
"""What a bundle says otherwise: no base that any loader would fetch, and modules without tensors that change nothing.

PEFT 0.21 puts a module of random numbers, anew at every load, where one is false (`LoraConfig.init_lora_weights`).
"""
_OF_THE_CANDIDATE: Final = frozenset(
    {"name_or_path", "tokenizer_file", "special_tokens_map_file", "is_local", "local_files_only", *TEMPLATE_KEYS}
)
"""Settings that a bundle's tokenizer does not have: where another was loaded from, and templates, which are a file."""
_TOKENIZER, _SETTINGS, _MARKS, _TEMPLATE = TOKENIZER_FILES


def write_adapter(job: ScanJob, artifact: Artifact, scratch: Path) -> ScanResult | None:
    """Leave an adapter's files and return their facts, or the only problem; None of what is no adapter."""
    started = time.monotonic()
    try:
        adapter = read_adapter(artifact.root, [file.path for file in artifact.manifest.files])
        if adapter is None:
            return None
        say_progress("writing the bundle", 0, 1)
        seal = Seal.of(artifact)
        written = _written(job, artifact.root, adapter, scratch)
        seal.check()
    except ChangedError as error:
        return ScanResult(isolation="none", problems=(error.sentence[:2000],), complete=False)
    except GateError as error:
        return ScanResult(isolation="none", problems=(str(error)[:2000],), complete=True)
    say_progress("writing the bundle", 1, 1)
    seconds = {"write": time.monotonic() - started}
    return ScanResult(isolation="none", written_adapter=written, complete=True, seconds=seconds)


def _written(job: ScanJob, root: Path, adapter: Adapter, scratch: Path) -> WrittenAdapter:
    to = scratch / WRITTEN_FILE
    with open_source(adapter.path) as source:
        found = tensors_of(source)
        parts = {name: _digest(source, one) for name, one in found.items()}
        _write_tensors(source, found, to)
    config = _in_order({**adapter.config.value, **_OF_A_BUNDLE})
    facts = [[name, found[name].dtype, list(found[name].shape), parts[name]] for name in sorted(found)]
    origin = {"config": _in_order(adapter.config.value), "tensors": facts}
    parent = hashlib.sha256(canonical_json(origin)).hexdigest()
    tokenizer = _json_of(root, adapter, _TOKENIZER)
    if tokenizer is not None:
        (scratch / TOKENIZER_FILE).write_bytes(canonical_json(tokenizer))
    settings = _json_of(root, adapter, _SETTINGS)
    base = read_base(Path(job.base_folder)) if job.base_folder else None
    words = _tokenizer_class(base, adapter, settings) if tokenizer is not None else ""
    return WrittenAdapter(
        tensors_sha256=file_sha256(to),
        parent=f"sha256:{parent}",
        config=config,
        network=_network(base, adapter),
        number_type=adapter.flavour.get("torch_dtype"),
        tokenizer_type=words,
        tokenizer_sha256=file_sha256(scratch / TOKENIZER_FILE) if tokenizer is not None else None,
        texts=dict(_texts(root, adapter, settings, words)),
    )


def _in_order(config: Mapping[str, Any]) -> str:
    """Return a configuration as JSON, its keys sorted, and inside them as they were: PEFT takes the first that matches.

    Values of the configuration hold mappings only where those are of patterns.
    """
    return json.dumps(dict(sorted(config.items())), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _network(base: BaseModel | None, adapter: Adapter) -> str:
    """Return the class of its base: by the base that the operator named, or without one by `MLmodel`."""
    named = base.network if base is not None else str(adapter.flavour.get("pipeline_model_type", ""))
    if base is None and not named:
        raise UnexaminableError("nothing says of which class its base is: name one with --base")
    return _known(named, NETWORKS, "language models", "'architectures' of the base's config.json")


def _tokenizer_class(base: BaseModel | None, adapter: Adapter, settings: Mapping[str, Any] | None) -> str:
    """Return the class of its tokenizer: the base's, or without one what the candidate's files say."""
    said = (settings or {}).get("tokenizer_class") or adapter.flavour.get("tokenizer_type") or ""
    named = base.tokenizer_class if base is not None else str(said)
    return _known(named, TOKENIZERS, "language models' tokenizers", "'tokenizer_class' of tokenizer_config.json")


def _known(named: str, known: frozenset[str], what: str, where: str) -> str:
    """Return a name that transformers has a class of; any other would be loaded as code, or fail."""
    if named not in known:
        raise UnexaminableError(f"{where} is {named[:80]!r}, none of the {what} of transformers 5.24: save it by that")
    return named


def _digest(source: Source, tensor: Tensor) -> str:
    digest = hashlib.sha256()
    for chunk in source.window(tensor.begin, tensor.size).chunks():
        digest.update(chunk)
    return digest.hexdigest()


def _write_tensors(source: Source, found: Mapping[str, Tensor], to: Path) -> None:
    """Write a file of the same tensors, by name, back to back, with no metadata but PEFT's own."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    begin = 0
    for name in sorted(found):
        one = found[name]
        header[name] = {"dtype": one.dtype, "shape": list(one.shape), "data_offsets": [begin, begin + one.size]}
        begin += one.size
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)  # tensors begin at a multiple of eight bytes, as safetensors writes them
    with to.open("wb") as stream:
        stream.write(len(raw).to_bytes(8, "little") + raw)
        for name in sorted(found):
            for chunk in source.window(found[name].begin, found[name].size).chunks():
                stream.write(chunk)


def _json_of(root: Path, adapter: Adapter, name: str) -> dict[str, Any] | None:
    """Return a file of the tokenizer as parsed; None where there is none."""
    found = json_at(root / adapter.place.of_tokenizer(name))
    if found is not None and not isinstance(found, dict):
        raise UnreadableError(f"{name} is no mapping")
    return found


def _texts(root: Path, adapter: Adapter, settings: Mapping[str, Any] | None, words: str) -> list[tuple[Any, str]]:
    """Return the tokenizer's other files by name; a template inside its settings becomes a file of its own."""
    found: list[tuple[Any, str]] = []
    template = root / adapter.place.of_tokenizer(_TEMPLATE)
    held = root / adapter.place.of_tokenizer(_SETTINGS)
    for path in (held, template):
        if path.exists():
            named = dict(templates_in(path))
            if set(named) - {DEFAULT}:
                raise UnexaminableError("it has several chat templates, and the gate writes one")
            found = [(_TEMPLATE, named[DEFAULT])] if named else found
    if settings is not None:
        plain = {key: value for key, value in settings.items() if key not in _OF_THE_CANDIDATE}
        plain |= {"tokenizer_class": words} if words else {}
        found.append((_SETTINGS, canonical_json(plain).decode()))
    marks = _json_of(root, adapter, _MARKS)
    for fault in mark_map_faults(marks) if marks is not None else ():
        raise UnreadableError(f"{_MARKS}: {fault}")  # transformers takes over whatever key stands there
    return found if marks is None else [*found, (_MARKS, canonical_json(marks).decode())]
