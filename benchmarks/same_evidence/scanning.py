"""One model through one state: pull, scan and judge by its command line, and what of that is kept.

Nothing here imports the gate: command line, policy file and the check's files are all that two states have in common.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.same_evidence.comparing import Seen
from benchmarks.same_evidence.policies import Policy, usable
from benchmarks.same_evidence.states import State

_MLMODEL = "flavors:\n  pytorch:\n    model_data: data\n    serialization_format: pt2\n"
_FILES = ("evidence.json", "verdict.json", "report.json")
_ABOUT = "about.json"
_PLACE = "FOLDER"
"""What stands in what is kept instead of the scan's own folder."""


@dataclass(frozen=True)
class Subset:
    """The committed models, and the images that go with all of them."""

    folder: Path

    @property
    def models(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.pt2")))

    def images(self, half: str, to: Path) -> Path:
        """Write a half of the images as float32 in [0, 1], and return the file: `scan` (200) or `measure` (1,000)."""
        with np.load(self.folder / f"digits-{half}.npz", allow_pickle=False) as arrays:
            inputs = arrays["inputs"].astype(np.float32) / 255
            np.savez_compressed(to, inputs=inputs, labels=arrays["labels"].astype(np.int64))
        return to

    def digest(self, model: str) -> str:
        """Return a hash over the model's file and both halves of the images."""
        files = (f"{model}.pt2", "digits-scan.npz", "digits-measure.npz")
        return hashlib.sha256(b"".join((self.folder / name).read_bytes() for name in files)).hexdigest()


def scan(state: State, subset: Subset, model: str, policy: Policy, to: Path) -> None:
    """Scan and judge a model in a fresh folder, and keep what is compared in another, whole or not at all."""
    with fresh() as folder:
        (folder / "model" / "data").mkdir(parents=True)
        (folder / "model" / "MLmodel").write_text(_MLMODEL, encoding="utf-8")
        shutil.copyfile(subset.folder / f"{model}.pt2", folder / "model" / "data" / "model.pt2")
        subset.images("scan", folder / "clean.npz")
        (folder / "policy.yml").write_text(json.dumps(policy), encoding="utf-8")
        by = ("--policy", "policy.yml")
        state.gate(folder, "pull", "model", "--to", "check", "--samples", "clean.npz", *by)
        _log_training_set(subset, folder / "check")
        state.gate(folder, "scan", "check", *by, "--seed", "0", "--threads", "1", "--device", "cpu")
        state.gate(folder, "judge", "check", "--policy", "default")
        kept = {name: (folder / "check" / name).read_text(encoding="utf-8") for name in _FILES}
        about = {"subset": subset.digest(model), "policy": policy}
        _keep({name: text.replace(str(folder), _PLACE) for name, text in kept.items()}, about, to)


def is_kept(subset: Subset, model: str, policy: Policy, folder: Path) -> bool:
    """Tell whether a folder holds a whole scan of these bytes that ran all that this policy asks for."""
    if not (folder / _ABOUT).is_file():
        return False
    about = _read(folder / _ABOUT)
    return bool(about["subset"] == subset.digest(model)) and usable(about["policy"], policy)


def read_kept(folder: Path) -> Seen:
    """Return what was kept of a scan."""
    return Seen(*(_read(folder / name) for name in _FILES))


@contextmanager
def fresh() -> Iterator[Path]:
    """Yield an empty temporary folder by its real path."""
    with tempfile.TemporaryDirectory(prefix="same-evidence-") as folder:
        yield Path(folder).resolve()


def _log_training_set(subset: Subset, check: Path) -> None:
    """Put the other half of the images where `gate pull` puts a training set that a run logged: a folder has no run."""
    (check / "training").mkdir(exist_ok=True)
    path = subset.images("measure", check / "training" / "training.npz")
    manifest = _read(check / "manifest.json")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest["training"] = {"name": path.name, "source": path.name, "sha256": sha256, "overridden": False}
    (check / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _keep(files: dict[str, str], about: dict[str, Any], to: Path) -> None:
    """Write a scan's files, last the one that says that they are whole."""
    to.mkdir(parents=True, exist_ok=True)
    (to / _ABOUT).unlink(missing_ok=True)
    for name, text in files.items():
        (to / name).write_text(text, encoding="utf-8")
    (to / _ABOUT).write_text(json.dumps(about), encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value
