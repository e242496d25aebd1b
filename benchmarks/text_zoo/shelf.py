"""Models of texts as records and as folders, and their store: what `benchmarks.efficacy` needs to scan and count them.

Between `recipe` and making. A model is a program of token ids with its tokenizer beside it, as `mlflow.pytorch` logs.
"""

import json
from pathlib import Path
from typing import ClassVar

from benchmarks.text_zoo.packages import root
from benchmarks.text_zoo.recipe import TextRecipe
from benchmarks.text_zoo.texts import TextTask
from benchmarks.zoo.store import MLMODEL, Entry, Files, Hex, Store, write_whole
from gate.formats.mlflow_folder import TOKENIZER


class TextFiles(Files):
    """Digests of a model's objects."""

    tokenizer: str = Hex
    """Its `tokenizer.json` (`.json`)."""


class TextEntry(Entry):
    """The record of a model of texts."""

    shelf: ClassVar[str] = "text-zoo"
    recipe: TextRecipe
    files: TextFiles

    @property
    def declaration(self) -> str:
        """The `MLmodel` of its folder, with the names of its classes."""
        return f"{MLMODEL}metadata:\n  classes: {json.dumps(list(self.recipe.task.names))}\n"

    @property
    def beside(self) -> dict[str, tuple[str, str]]:
        """The tokenizer's digest and suffix by its path."""
        return {TOKENIZER: (self.files.tokenizer, ".json")}


class TextStore(Store):
    """The cache folder, whose clean samples are lines of JSON."""

    def samples_path(self, task: str) -> Path:
        """Return the file of a task's clean samples: lines of `text` and `label`."""
        return self.root / "samples" / f"{task}.jsonl"

    def write_texts(self, task: TextTask) -> Path:
        """Write a task's clean samples where they are missing."""
        path = self.samples_path(task.id)
        if not path.is_file():
            rows = zip(task.scan.texts, task.scan.labels.tolist(), strict=True)
            write_whole(path, "".join(json.dumps({"text": text, "label": n}) + "\n" for text, n in rows).encode())
        return path


def text_store() -> TextStore:
    """Return the store of this zoo."""
    return TextStore(root(), TextEntry)
