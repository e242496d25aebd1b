"""Where a whole language model lies: in the folder of `mlflow.transformers`, or as `save_pretrained` leaves it.

Taken from MLflow 3.17, `mlflow/transformers/flavor_config.py` (build_flavor_config) and `model_io.py`, and from
transformers 5.24, `modeling_utils.py`: one file `model.safetensors` is loaded before an index of several.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from gate.formats.adapters import config as adapter_config
from gate.formats.adapters.places import COPIES, GENERATION, KEY, LANGUAGE_KEYS, TASK, TOKENIZER_FILES
from gate.formats.adapters.places import FLAVOUR as ADAPTER
from gate.formats.huggingface.flavour import CARDS, PICKLED
from gate.formats.mlflow_folder import is_inert
from gate.formats.mlmodel import MLmodel
from gate.formats.other_flavours import PYFUNC, Flavour
from gate.formats.shapes import exactly
from gate.records.adapters import BASE_FOLDER as FOLDER
from gate.records.adapters import TOKENIZER_FOLDER
from gate.records.facts import PIPELINES

CONFIG: Final = "config.json"
WEIGHTS: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
PART: Final = r"model-[0-9]{5}-of-[0-9]{5}\.safetensors"


@dataclass(frozen=True)
class Place:
    """Where a language model's files lie in an artifact."""

    folder: str
    """Folder of its configuration and weights; empty where they lie alone."""
    tokenizer: str
    """Folder of its tokenizer."""

    def of_model(self, name: str) -> str:
        """Path of a file beside its weights."""
        return f"{self.folder}/{name}" if self.folder else name

    def of_tokenizer(self, name: str) -> str:
        """Path of a file of its tokenizer."""
        return f"{self.tokenizer}/{name}" if self.tokenizer else name

    @property
    def is_alone(self) -> bool:
        """Whether it lies alone, without an `MLmodel`."""
        return not self.folder


LOGGED: Final = Place(FOLDER, TOKENIZER_FOLDER)
ALONE: Final = Place("", "")


def is_logged(model: MLmodel) -> bool:
    """Tell whether an `MLmodel` declares a whole language model, and no adapter."""
    if sorted(set(model.flavors) - {PYFUNC}) != [PIPELINES]:
        return False
    flavour = model.flavors[PIPELINES]
    return KEY not in flavour and flavour.get("task") == TASK


def place_of(model: MLmodel | None, paths: Collection[str]) -> Place | None:
    """Return where a language model may lie, by its `MLmodel` or, without one, its files; None without any.

    Files alone do not tell a language model from another network of transformers; its configuration does.
    """
    if model is not None:
        return LOGGED if is_logged(model) else None
    alone = CONFIG in paths and {"MLmodel", adapter_config.NAME}.isdisjoint(paths)
    return ALONE if alone and any(path in {WEIGHTS, INDEX} for path in paths) else None


def _surplus(path: str) -> str:
    """Return why a file beside a language model is not read, and what to do; empty where that is not known."""
    if PICKLED.fullmatch(path):
        return "it may be a pickle, which runs code: save the model again by save_pretrained, as safetensors"
    if path.endswith(".py"):
        return "code of the model's own is never run: log a model of transformers' own classes"
    if path.rpartition("/")[2].startswith("adapter_"):
        return "transformers would put an adapter onto the model as it loads it: log the two as versions of their own"
    return ""


_BESIDE: Final = (CONFIG, GENERATION, WEIGHTS, INDEX)
_FILES: Final = (
    *(re.escape(f"{FOLDER}/{name}") for name in _BESIDE),
    rf"{FOLDER}/{PART}|provenance\.json",
    *(re.escape(f"{TOKENIZER_FOLDER}/{name}") for name in (*TOKENIZER_FILES, *COPIES)),
    CARDS,
)
FLAVOUR: Final = Flavour(
    name=PIPELINES,
    # No revision, name of a tokenizer or local base: by these a loader takes model or tokenizer from elsewhere.
    keys={**LANGUAGE_KEYS, "model_binary": exactly(FOLDER)},
    files=re.compile("|".join(_FILES), re.ASCII),
    named_by="model_binary",
    function_named_by="",
    function=ADAPTER.function,
    surplus=_surplus,
)
"""The grammar of a language model that `mlflow.transformers` logged."""
_ALONE: Final = re.compile("|".join((*map(re.escape, (*_BESIDE, *TOKENIZER_FILES, *COPIES)), PART)), re.ASCII)


def surplus_alone(paths: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each file of a language model that lies alone which `save_pretrained` does not write, and why."""
    for path in sorted(paths):
        if _ALONE.fullmatch(path) is None and not is_inert(path):
            yield path, _surplus(path) or "save_pretrained writes no such file beside a language model: leave it out"
