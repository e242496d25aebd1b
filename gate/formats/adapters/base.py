"""The base of an adapter, as the operator names it: weights in safetensors, configuration, tokenizer; as data.

A folder that `mlflow.transformers` wrote of a whole language model, or one that `save_pretrained` left.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gate.formats.adapters.places import GENERATION, TOKENIZER_FILES
from gate.formats.huggingface.language_classes import network_of
from gate.formats.safetensors import Tensor, tensors_of
from gate.formats.source import UnreadableError, open_source
from gate.records.adapters import BASE_FOLDER, TOKENIZER_FOLDER
from gate.records.errors import GateError
from gate.records.record import parse_json

MAX_JSON: Final = 64 << 20
"""Bytes of one JSON file; tokenizers of large vocabularies have some 20 million."""
NO_BASE: Final = "no base was given to compare it with: name one with --base"
"""Why nothing is compared with a base."""
_PREFIX: Final = "model."


@dataclass(frozen=True)
class Stored:
    """A tensor and the file that holds it."""

    path: Path
    tensor: Tensor


@dataclass(frozen=True)
class BaseModel:
    """The base's files as far as an adapter is compared with them."""

    folder: Path
    """Folder of configuration and weights."""
    tokenizer: Path
    """Folder of its tokenizer."""
    weights: Mapping[str, Stored]

    def weight(self, module: str) -> Stored | None:
        """Return the weight of a module by its name, with or without the prefix of the whole network."""
        name = f"{module}.weight"
        return self.weights.get(name) or self.weights.get(name.removeprefix(_PREFIX))

    def config(self, name: str = "config.json") -> Any:
        """Return one of its JSON files as parsed; None where it has none."""
        return json_at(self.folder / name)

    @property
    def network(self) -> str:
        """The class that its configuration names; empty where that is none, or none of a language model."""
        return network_of(self.config())

    @property
    def tokenizer_class(self) -> str:
        """The class of its tokenizer, by its settings or its configuration; empty where neither names one."""
        for given in (json_at(self.tokenizer / TOKENIZER_FILES[1]), self.config()):
            if isinstance(given, dict) and isinstance(named := given.get("tokenizer_class"), str):
                return named
        return ""

    @property
    def generation(self) -> Any:
        """Its settings of generation; None where it has none."""
        return self.config(GENERATION)


def json_at(path: Path) -> Any:
    """Return a JSON file as parsed; None where there is none; what cannot be read is an `UnreadableError`."""
    if not path.exists() and not path.is_symlink():
        return None
    try:
        with open_source(path) as source:
            return parse_json(source.whole(MAX_JSON, path.name), what=path.name, limit=MAX_JSON)
    except UnreadableError:
        raise
    except GateError as error:
        raise UnreadableError(str(error)) from None


def read_base(root: Path) -> BaseModel:
    """Return the base in a folder; one without weights in safetensors is an `UnreadableError`."""
    logged = (root / "MLmodel").exists()
    folder, tokenizer = (root / BASE_FOLDER, root / TOKENIZER_FOLDER) if logged else (root, root)
    weights: dict[str, Stored] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with open_source(path) as source:
            weights.update((name, Stored(path, tensor)) for name, tensor in tensors_of(source).items())
    if not weights:
        raise UnreadableError(
            "it holds no weights in safetensors; name a whole language model that mlflow.transformers logged, or a "
            "folder that save_pretrained wrote"
        )
    return BaseModel(folder, tokenizer, weights)
