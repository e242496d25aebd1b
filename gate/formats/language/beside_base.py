"""A whole language model beside its base: other tensors, other settings, another tokenizer; each counted and named."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from gate.formats.adapters.adapter import mlmodel_of
from gate.formats.adapters.base import BaseModel
from gate.formats.adapters.beside_base import setting_differences
from gate.formats.adapters.places import GENERATION
from gate.formats.language.places import CONFIG
from gate.formats.language.whole import WholeModel
from gate.formats.mlmodel import MAX_BYTES, MLmodel
from gate.formats.other_flavours import PYFUNC
from gate.formats.source import UnreadableError
from gate.records.errors import GateError
from gate.records.record import parse_json

_INERT: Final = frozenset({"_name_or_path", "dtype", "torch_dtype", "use_cache"})
"""Settings of a network that say by whom it was loaded, in which type, and how quickly."""
_CODE: Final = "auto_map"
_FROM: Final = frozenset({"_from_model_config"})
_TEMPLATE: Final = "prompt_template"
_OF_ANSWERS: Final = frozenset({"collapse_whitespace", "include_prompt", "return_full_text"})
"""Settings that say whether an answer repeats its prompt and its blanks; MLflow writes one beside a template."""


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


def serving_changes(root: Path, base: BaseModel, ignored: frozenset[str]) -> Iterator[str]:
    """Yield what `MLmodel` has MLflow put around each prompt, and set for each answer, that the base has not.

    `mlflow.pyfunc` formats every prompt by `metadata.prompt_template`, and hands the entries of
    `python_function.config` and the defaults of the signature's parameters to the pipeline (MLflow 3.17,
    `mlflow/transformers/__init__.py`, _TransformersWrapper): settings of generation, a `prefix` among them.
    """
    model = mlmodel_of(root)
    if model is None:
        return
    metadata = model.top.get("metadata")
    if isinstance(metadata, Mapping) and metadata.get(_TEMPLATE) and _TEMPLATE not in ignored:
        yield f"metadata.{_TEMPLATE} puts each prompt into {str(metadata[_TEMPLATE])[:200]!r}"
    theirs = base.generation or {}
    for where, values in (("python_function.config", _config(model)), ("signature.params", _parameters(model))):
        for key in sorted(values.keys() - _OF_ANSWERS - ignored):
            if values[key] is not None and values[key] != theirs.get(key):
                own, other = str(values[key])[:80], str(theirs.get(key))[:80]
                yield f"{where} sets {key[:60]!r} to {own!r}, and in the base it is {other!r}"


def _config(model: MLmodel) -> Mapping[str, Any]:
    value = model.flavors.get(PYFUNC, {}).get("config")
    return value if isinstance(value, Mapping) else {}


def _parameters(model: MLmodel) -> Mapping[str, Any]:
    """Return the defaults of a signature's parameters; a text that is no such list is another count's."""
    signature = model.top.get("signature")
    text = signature.get("params") if isinstance(signature, Mapping) else None
    if not isinstance(text, str):
        return {}
    try:
        value = parse_json(text.encode("utf-8", "replace"), what="signature.params", limit=MAX_BYTES)
    except GateError as error:
        raise UnreadableError(str(error)) from None
    found = [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
    return {str(one.get("name")): one.get("default") for one in found}
