"""The tasks whose pipelines the gate examines, and what `mlflow.transformers` writes for each: keys, files, classes.

Taken from MLflow 3.17, `mlflow/transformers/flavor_config.py` (build_flavor_config) and `model_io.py`. The keys leave
MLflow's loader no choice of class or place: a class that transformers does not have is loaded with the candidate's
code, and a model without `model_binary` from a hub.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gate.formats.huggingface.architectures import IMAGES, Architecture
from gate.formats.huggingface.text_architectures import TEXTS
from gate.formats.huggingface.tokenizer_settings import COPIES
from gate.formats.mlflow_model import VERSION
from gate.formats.mlmodel import MLmodel
from gate.formats.other_flavours import PYFUNC, Flavour
from gate.formats.shapes import Shape, exactly, text
from gate.formats.tokenizers.file import NAME as TOKENIZER_FILE
from gate.records.facts import PIPELINES

NAME: Final = PIPELINES
CONFIG: Final = "model/config.json"
WEIGHTS: Final = "model/model.safetensors"
PROCESSOR: Final = "components/image_processor/preprocessor_config.json"
_TOKENIZER_FOLDER: Final = "components/tokenizer"
TOKENIZER: Final = f"{_TOKENIZER_FOLDER}/{TOKENIZER_FILE}"
SETTINGS: Final = f"{_TOKENIZER_FOLDER}/tokenizer_config.json"
MARKS: Final = f"{_TOKENIZER_FOLDER}/special_tokens_map.json"
COPIED: Final = tuple(f"{_TOKENIZER_FOLDER}/{name}" for name in COPIES)
CARDS: Final = r"model_card\.md|model_card_data\.yaml"
"""What MLflow writes for people; no loader reads it."""
PICKLED: Final = re.compile(r".+\.(bin|pt|pth|ckpt|pkl|pickle|h5|msgpack)(\.index\.json)?")
_IN_PARTS: Final = re.compile(r".+(\.safetensors\.index\.json|-[0-9]+-of-[0-9]+\.safetensors)")
_CODE: Final = re.compile(r".+\.py")
_SLOW: Final = re.compile(rf"{_TOKENIZER_FOLDER}/.+\.(model|vocab)|{_TOKENIZER_FOLDER}/(bpe\.codes|dict\.txt)")
_TEMPLATE: Final = re.compile(r".+\.jinja|.+/chat_template\.json")


@dataclass(frozen=True)
class Task:
    """One task of transformers' pipelines."""

    name: str
    architectures: Mapping[str, Architecture]
    """Networks by the name of their class."""
    files: tuple[str, ...]
    """Files that must be there."""
    flavour: Flavour
    optional: tuple[str, ...] = ()
    """Files that may be there; with these and MLflow's own there are no others."""


def _surplus(path: str) -> str:
    """Return why a file beside these is not read, and what to do; empty where nothing special is known of it."""
    if PICKLED.fullmatch(path):
        again = "tokenizer again by save_pretrained, as tokenizer.json"
        if not path.startswith(f"{_TOKENIZER_FOLDER}/"):
            again = "model again by save_pretrained, as model.safetensors"
        return f"it may be a pickle, which runs code: save the {again}"
    if _IN_PARTS.fullmatch(path):
        return (
            "the gate reads weights in one file: set MLFLOW_HUGGINGFACE_MODEL_MAX_SHARD_SIZE above their size, such as "
            "5GB, and log the model again"
        )
    if _CODE.fullmatch(path):
        return "code of the model's own is never run: log a model of transformers' own classes"
    if _SLOW.fullmatch(path):
        return "it is of a slow tokenizer: save the tokenizer again with save_pretrained of transformers 5"
    if _TEMPLATE.fullmatch(path):
        return "it is a template for chats, which a classifier does not need: log it without one"
    return ""


_NAME: Final = text(r"[A-Za-z][A-Za-z0-9]{0,100}", "a class of transformers")


def _task_of(
    name: str, pipeline: str, component: str, known: Mapping[str, Architecture], own: tuple[str, ...], *optional: str
) -> Task:
    """Return a task whose pipeline has one component beside its network, with the files that only it has."""
    files = (CONFIG, WEIGHTS, *own)
    flavour = Flavour(
        name=NAME,
        keys={
            "components": Shape(f"[{component}]", lambda given: given == [component]),
            "framework": exactly("pt"),
            f"{component}_type": _NAME,
            "instance_type": exactly(pipeline),
            "model_binary": exactly("model"),
            "pipeline_model_type": exactly(*known),
            "source_model_name": text(r"[^\x00-\x1f\x7f]{0,4096}", "the name that it was loaded by"),
            "task": exactly(name),
            "torch_dtype": exactly("torch.float32"),
            "transformers_version": VERSION,
        },
        files=re.compile("|".join((*map(re.escape, (*files, *optional)), CARDS)), re.ASCII),
        named_by="model_binary",
        function_named_by="",
        surplus=_surplus,
    )
    return Task(name, known, files, flavour, optional)


IMAGE_TASK: Final = _task_of(
    "image-classification", "ImageClassificationPipeline", "image_processor", IMAGES, (PROCESSOR,)
)
TEXT_TASK: Final = _task_of(
    "text-classification", "TextClassificationPipeline", "tokenizer", TEXTS, (TOKENIZER, SETTINGS), MARKS, *COPIED
)
TASKS: Final[Mapping[str, Task]] = {task.name: task for task in (IMAGE_TASK, TEXT_TASK)}
"""The tasks that the gate examines, by name."""


def task_of(model: MLmodel) -> Task | None:
    """Return the task of a model whose one flavour is `transformers`; None for another flavour, or another task."""
    if sorted(set(model.flavors) - {PYFUNC}) != [NAME]:
        return None
    return TASKS.get(str(_task(model)))


def described(model: MLmodel) -> str:
    """Return the flavours beside `python_function`, with commas; a task that is not examined stands in brackets."""
    named = sorted(set(model.flavors) - {PYFUNC})
    if named == [NAME] and task_of(model) is None:
        return f"{NAME} ({str(_task(model))[:60]!a})"
    return ", ".join(named)


def _task(model: MLmodel) -> Any:
    return model.flavors[NAME].get("task")
