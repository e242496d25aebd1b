"""Everybody who opens an approved folder: MLflow's two loaders, torch's own, and the usual loader of each further file.

Runs in a forked child: what is opened here may be hostile. Each opener says what it was given, or why it
opened nothing.
"""

import importlib
import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.oracle import installers
from tests.oracle.outputs import Answers, arrays, to_json

LOADER = "mlflow.pytorch"
"""The loader whose program a gate judges."""
PREDICT = "predict"
KEYWORD = "pictures"
"""By which a mutated program may take its input."""


@dataclass
class Seen:
    """What the consumers of one folder saw."""

    answers: dict[str, Answers] = field(default_factory=dict)
    """By consumer: its outputs for each batch it answered; one that it refused is empty."""
    refused: dict[str, str] = field(default_factory=dict)
    """By consumer: why it opened nothing."""
    odd: list[str] = field(default_factory=list)
    """What a consumer does beside opening the judged program: another loader, code to import, a requirement."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for the parent."""
        answers = {name: to_json(value) for name, value in self.answers.items()}
        return {"answers": answers, "refused": self.refused, "odd": self.odd}


def consume(folder: Path, batches: list[np.ndarray], work: Path) -> dict[str, Any]:
    """Open a folder by every consumer, and once more as it arrives where names are kept differently."""
    seen = Seen()
    _open_all("", folder, batches, seen)
    seen.odd += installers.odd(folder, work / "installers")
    other = work / "arrived"
    if _arrived(folder, other):
        _open_all("elsewhere ", other, batches, seen)
        seen.odd += [f"elsewhere: {line}" for line in installers.odd(other, work / "installers-elsewhere")]
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        if path not in (folder / "data" / "model.pt2", folder / "data" / "model.pth"):  # these were opened above
            _usual_loader(path)
    return seen.to_json()


def _open_all(prefix: str, folder: Path, batches: list[np.ndarray], seen: Seen) -> None:
    before = list(sys.path)
    openers: dict[str, Callable[[Path], Callable[[np.ndarray], Any]]] = {
        "mlflow.pyfunc": _by_function,
        "mlflow.pytorch": _by_flavour,
        "torch.export": _by_torch,
    }
    for name, opener in openers.items():
        try:
            model = opener(folder)
        except BaseException as error:  # noqa: BLE001  # hostile bytes may end in anything, an exit included
            seen.refused[prefix + name] = f"{type(error).__name__}: {str(error)[:300]}"
        else:
            seen.answers[prefix + name] = [_answer(model, batch) for batch in batches]
    seen.odd += [f"{prefix}{line}" for line in _declared(folder)]
    if more := [path for path in sys.path if path not in before]:
        seen.odd.append(f"{prefix}code on the import path: {[Path(path).name for path in more]}")
        sys.path[:] = before


def _answer(model: Callable[[np.ndarray], Any], batch: np.ndarray) -> list[np.ndarray]:
    try:
        return arrays(model(batch))
    except BaseException:  # noqa: BLE001  # a refusal to answer is no other answer
        return []


def _by_function(folder: Path) -> Callable[[np.ndarray], Any]:
    """Open by `mlflow.pyfunc.load_model`."""
    import mlflow

    model = mlflow.pyfunc.load_model(str(folder))

    def predict(batch: np.ndarray) -> Any:
        names = model.metadata.get_input_schema().input_names() if model.metadata.get_input_schema() else []
        return model.predict({names[0]: batch} if len(names) == 1 and isinstance(names[0], str) else batch)

    return predict


def _by_flavour(folder: Path) -> Callable[[np.ndarray], Any]:
    """Open by `mlflow.pytorch.load_model`."""
    import mlflow

    # torch 2.6 and later open no pickle of their own accord; deployers of pickled networks say so.
    return _module(mlflow.pytorch.load_model(str(folder), weights_only=False))


def _by_torch(folder: Path) -> Callable[[np.ndarray], Any]:
    """Open the file that the flavour's loader would open, by torch itself."""
    import torch
    from mlflow.models import Model

    data = folder / Model.load(str(folder / "MLmodel")).flavors["pytorch"]["model_data"]
    if (data / "model.pth").exists():
        return _module(torch.load(data / "model.pth", weights_only=False))
    return _module(torch.export.load(data / "model.pt2" if data.is_dir() else data).module())


def _module(module: Any) -> Callable[[np.ndarray], Any]:
    import torch

    def answer(batch: np.ndarray) -> Any:
        given = torch.from_numpy(batch)
        with torch.no_grad():
            try:
                return module(given)
            except (TypeError, ValueError):  # a program may take its input by a keyword alone
                return module(**{KEYWORD: given})

    return answer


def _declared(folder: Path) -> Iterator[str]:
    """Yield which other loader or method MLflow would take, as MLflow reads the file.

    Where a loader's library is not installed here, nothing is opened here; it is where a deployer has it.
    """
    from mlflow.models import Model

    try:
        flavours = Model.load(str(folder / "MLmodel")).flavors
    except Exception:  # noqa: BLE001  # no consumer opens it either, and each has said why
        return
    function = flavours.get("python_function")
    if isinstance(function, dict):
        if (loader := function.get("loader_module")) != LOADER and _is_loader(loader, folder):
            yield f"mlflow.pyfunc hands the model to {loader}"
        if (method := function.get("predict_fn", PREDICT)) != PREDICT:
            yield f"mlflow.pyfunc answers by {method}"
    for name in sorted(set(flavours) - {"python_function", "pytorch"}):
        if _is_loader(f"mlflow.{name}", folder):
            yield f"mlflow.{name} opens a model of its own"


def _is_loader(name: Any, folder: Path) -> bool:
    """Tell whether a module of that name exists at a deployer's: one of MLflow's, or one that the folder brings."""
    if not isinstance(name, str):
        return False
    if any(folder.rglob(f"{name.rpartition('.')[2]}.py")):
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _arrived(folder: Path, to: Path) -> bool:
    """Copy a folder as a disk or a store keeps it that folds names; tell whether any name changed.

    Signs of folders of other systems, compatibility forms, the case of letters, dots and blanks at the end: later files
    replace earlier ones of one name, which is there under the spelling of the first.
    """
    spelled: dict[str, str] = {}
    placed: dict[str, Path] = {}
    changed = False
    for path in sorted(
        (each for each in folder.rglob("*") if each.is_file()), key=lambda each: not str(each).isascii()
    ):
        name = path.relative_to(folder).as_posix()
        kept = os.path.normpath(unicodedata.normalize("NFKC", name.replace("\\", "/").replace("%2F", "/")))
        parts = [part.rstrip(". ").partition(":")[0] for part in kept.split("/")]
        kept = "/".join(part for part in parts if part)
        key = kept.casefold()
        changed = changed or kept != name or key in spelled
        spelled.setdefault(key, kept)
        placed[key] = path
    if not changed:
        return False
    for key, source in placed.items():
        target = to / spelled[key]
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        except (OSError, ValueError):
            continue
    return True


def _usual_loader(path: Path) -> None:
    """Open a file by what opens files of its ending; only markers tell what came of it."""
    import joblib
    import torch

    loaders: dict[str, Callable[[Path], Any]] = {
        ".joblib": joblib.load,
        ".model": joblib.load,
        ".pkl": joblib.load,
        ".pth": lambda given: torch.load(given, weights_only=False),
        ".pt": lambda given: torch.load(given, weights_only=False),
        ".pt2": torch.export.load,
        ".npy": lambda given: np.load(given, allow_pickle=True),
        ".npz": lambda given: dict(np.load(given, allow_pickle=True)),
    }
    loader = loaders.get(path.suffix.lower())
    if loader is not None:
        try:
            loader(path)
        except BaseException:  # noqa: BLE001  # markers alone count
            return
