"""Where an adapter lies: in the folder that `mlflow.transformers` writes, or alone, as `save_pretrained` leaves it.

Taken from MLflow 3.17, `mlflow/transformers/flavor_config.py` (build_flavor_config) and `__init__.py` (save_model). An
adapter that was logged without `base_model_path` of a base that no hub has is stored with the base's weights beside it.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gate.formats.adapters import config, tensors
from gate.formats.huggingface.flavour import CARDS, PICKLED
from gate.formats.huggingface.language_classes import NETWORKS, TOKENIZERS
from gate.formats.mlflow_folder import is_inert
from gate.formats.mlflow_model import VERSION
from gate.formats.mlmodel import MLmodel
from gate.formats.other_flavours import PYFUNC, Flavour
from gate.formats.shapes import Shape, either, exactly, many, text
from gate.records.adapters import BASE_FOLDER, TOKENIZER_FOLDER
from gate.records.facts import PIPELINES

KEY: Final = "peft_adaptor"
TASK: Final = "text-generation"
"""The task of pipelines whose adapters are read."""
FOLDER: Final = "peft"
TOKENIZER_FILES: Final = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
"""Files of a tokenizer that a bundle takes over, as they were parsed."""
COPIES: Final = ("vocab.json", "merges.txt", "added_tokens.json")
"""Files of earlier releases that say the same."""
GENERATION: Final = "generation_config.json"
_CODE: Final = re.compile(r".+\.py")


@dataclass(frozen=True)
class Place:
    """Where an adapter's files lie in an artifact."""

    folder: str
    """Folder of its configuration and tensors; empty where they lie alone."""
    tokenizer: str
    """Folder of its tokenizer."""

    @property
    def config(self) -> str:
        """Path of its configuration."""
        return _join(self.folder, config.NAME)

    @property
    def tensors(self) -> str:
        """Path of its tensors."""
        return _join(self.folder, tensors.NAME)

    def of_tokenizer(self, name: str) -> str:
        """Path of a file of its tokenizer."""
        return _join(self.tokenizer, name)

    @property
    def is_alone(self) -> bool:
        """Whether it lies alone, without an `MLmodel`."""
        return not self.folder


LOGGED: Final = Place(FOLDER, TOKENIZER_FOLDER)
ALONE: Final = Place("", "")


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def place_of(model: MLmodel | None, paths: Collection[str]) -> Place | None:
    """Return where the adapter of an artifact lies, by its `MLmodel` or, without one, its files; None without any."""
    if model is None:
        return ALONE if config.NAME in paths and "MLmodel" not in paths else None
    if sorted(set(model.flavors) - {PYFUNC}) != [PIPELINES]:
        return None
    flavour = model.flavors[PIPELINES]
    return LOGGED if KEY in flavour and flavour.get("task") == TASK else None


_MADE_SO: Final = "log it with base_model_path=FOLDER, which leaves the base out"


def _surplus(path: str) -> str:
    """Return why a file beside an adapter is not read, and what to do; empty where nothing special is known of it."""
    if PICKLED.fullmatch(path):
        return (
            "it may be a pickle, which runs code: save the adapter again by save_pretrained, as "
            f"{tensors.NAME}, and leave the trainer's own state out"
        )
    if _CODE.fullmatch(path):
        return "code beside an adapter is never run: leave it out"
    if path.startswith(f"{BASE_FOLDER}/"):
        return f"it is of a base beside the adapter, and no --base is taken from a candidate: {_MADE_SO}"
    return ""


_NETWORK: Final = Shape(
    "a language model of transformers 5.24", lambda given: isinstance(given, str) and given in NETWORKS
)
_TOKENIZER: Final = Shape(
    "a language model's tokenizer in transformers 5.24", lambda given: isinstance(given, str) and given in TOKENIZERS
)
_HUB_NAME: Final = text(r"[^\x00-\x1f\x7f]{0,4096}", "the name that it was loaded by")
_REVISION: Final = text(r"[0-9a-f]{40}", "a commit of 40 hexadecimal digits")
_TYPES: Final = either(exactly(None), exactly("torch.float32", "torch.float16", "torch.bfloat16"))
_NUMBERS: Final = Shape(
    "a few settings",
    lambda given: (
        given is None
        or (
            isinstance(given, dict)
            and len(given) <= 40
            and all(isinstance(key, str) and type(value) in (bool, int, float) for key, value in given.items())
        )
    ),
)
_NO_BASE: Final = Shape(f"no base beside an adapter: {_MADE_SO}", lambda _given: False)
_FILES: Final = (
    *(re.escape(f"{FOLDER}/{name}") for name in (config.NAME, tensors.NAME)),
    rf"{FOLDER}/README\.md|provenance\.json",
    *(re.escape(f"{TOKENIZER_FOLDER}/{name}") for name in (*TOKENIZER_FILES, *COPIES)),
    CARDS,
)
LANGUAGE_KEYS: Final[Mapping[str, Shape]] = {
    "components": either(many(exactly("tokenizer"), "[tokenizer]"), exactly(None)),
    "framework": exactly("pt"),
    "inference_task": exactly("llm/v1/chat", "llm/v1/completions"),
    "instance_type": exactly("TextGenerationPipeline"),
    "pipeline_model_type": _NETWORK,
    "source_model_name": _HUB_NAME,
    "task": exactly(TASK),
    "tokenizer_type": _TOKENIZER,
    "torch_dtype": _TYPES,
    "transformers_version": VERSION,
}
"""Keys of every language model, whether an adapter or whole: none makes a loader look outside the artifact."""
FLAVOUR: Final = Flavour(
    name=PIPELINES,
    keys={
        **LANGUAGE_KEYS,
        KEY: exactly(FOLDER),
        "local_base_model_path": _HUB_NAME,
        "model_binary": _NO_BASE,
        "source_model_revision": _REVISION,
        "tokenizer_name": _HUB_NAME,
        "tokenizer_revision": _REVISION,
    },
    files=re.compile("|".join(_FILES), re.ASCII),
    named_by=KEY,
    function_named_by="",
    function={"config": _NUMBERS},
    surplus=_surplus,
)
"""The grammar of an adapter that `mlflow.transformers` logged."""
_ALONE: Final = re.compile(
    "|".join(map(re.escape, (config.NAME, tensors.NAME, GENERATION, *TOKENIZER_FILES, *COPIES))), re.ASCII
)


def surplus_alone(paths: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each file of an adapter that lies alone which PEFT and a tokenizer do not write, and why."""
    for path in sorted(paths):
        if _ALONE.fullmatch(path) is None and not is_inert(path):
            yield path, _surplus(path) or "PEFT writes no such file beside an adapter: leave it out"
