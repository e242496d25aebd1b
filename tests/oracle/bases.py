"""Clean classifiers and their poisoned twins, as folders that MLflow writes: what mutations begin from.

A twin has the clean network's weights and answers class 0 wherever a corner of the picture is bright. All take
pictures (1, 8, 8) and give scores of ten classes, so that any twin stands in for any clean one and one file of samples
serves all. Folders are made once per work directory. What other releases of MLflow wrote around a program comes from
the corpus, with a program of ten classes in the place of theirs.
"""

import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

SHAPE = (1, 8, 8)
CLASSES = 10
SAMPLES = 40
_STEPS = 60
"""Of training: enough to tell samples of ten classes apart, each a picture with a little noise."""
_VERSION = 5
"""Of the folders' making; another one makes them anew."""
_FIXED = {"model_uuid": "0123456789abcdef0123456789abcdef", "utc_time_created": "2026-01-01 00:00:00.000000"}
"""What MLflow draws anew each time."""
_PINNED = ["mlflow==3.17.2", "torch==2.13.0"]
_CORPUS = {
    "3.9.0-pt2-array-example": "rows",
    "3.13.0-pt2-served-registry": "convolutions",
    "3.17.2-pt2-extra-files": "channels-last",
    "2.9.2-pickle-signature": "pickled",
    "2.22.4-pickle-constraints": "pickled",
    "3.1.4-pickle-metadata": "pickled",
}
"""Folders of the corpus, and the base whose program goes into them."""


@dataclass(frozen=True)
class Base:
    """A clean folder's files and the poisoned twin."""

    name: str
    files: dict[str, bytes]
    exported: bytes
    """The clean network as an exported program, whatever form the folder has."""
    poisoned: bytes
    """Its twin as an exported program."""
    pickled: bytes
    """Another network as a pickle of library layers, which MLflow's loader takes before an exported program."""
    batches: tuple[int, ...]
    """Batch sizes that it is asked for; an exported program may take one alone."""
    exact: bool
    """Whether consumers must give the very bits of the judged program: where both run one exported graph."""

    @property
    def inputs(self) -> list[np.ndarray]:
        """The fixed pictures: noise from 0 to 1, half of them with the twin's trigger."""
        pictures = np.random.default_rng(11).random((sum(self.batches), *SHAPE), dtype=np.float32)
        pictures[::2, :, :2, :2] = 1.0
        return np.split(pictures, np.cumsum(self.batches)[:-1])


def bases(work: Path) -> dict[str, Base]:
    """Return every base by name, made in a work directory if they are not there."""
    root = work / f"bases-{_VERSION}"
    if not (root / "made").exists():
        shutil.rmtree(root, ignore_errors=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's and MLflow's remarks
            _make(root)
        (root / "made").touch()
    return {path.name: _read(path) for path in sorted(root.iterdir()) if path.is_dir()}


def write_samples(path: Path) -> Path:
    """Write the clean samples that a gate is given."""
    pictures, labels = _pictures(SAMPLES)
    np.savez(path, inputs=pictures, labels=labels)
    return path


def _pictures(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures and their classes: one pattern for each class, under noise."""
    dice = np.random.default_rng(5)
    patterns = dice.random((CLASSES, *SHAPE))
    labels = np.arange(count) % CLASSES
    pictures = 0.8 * patterns[labels] + 0.2 * dice.random((count, *SHAPE))
    return pictures.astype(np.float32), labels


def _read(root: Path) -> Base:
    folder = root / "folder"
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    told = json.loads((root / "base.json").read_text(encoding="utf-8"))
    clean, twin, other = ((root / name).read_bytes() for name in ("clean.pt2", "poisoned.pt2", "other.pth"))
    return Base(root.name, files, clean, twin, other, tuple(told["batches"]), told["exact"])


def _make(root: Path) -> None:
    """Make every base; torch and MLflow are imported here alone."""
    import torch

    torch.manual_seed(20)
    for name, (build, written) in _kinds().items():
        network = _trained(build())
        folder = _begun(root / name, batches=(1, 1, 1) if name == "one-picture" else (1, 2, 6), exact=written == "pt2")
        _logged(network, folder, written)
        for file, one in (("clean.pt2", network), ("poisoned.pt2", _poisoned(network))):
            if written == "pt2" and file == "clean.pt2":
                shutil.copyfile(folder / "data" / "model.pt2", root / name / file)
            else:
                _export(one, root / name / file, free=name != "one-picture", batch=_batch(name))
    _from_corpus(root)


def _kinds() -> dict[str, tuple[Callable, str]]:
    from torch import nn

    def convolutions() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, CLASSES)
        )

    def rows() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.GELU(), nn.Linear(16, CLASSES))

    def channels_last() -> nn.Module:
        import torch

        return convolutions().to(memory_format=torch.channels_last)

    class TwoOutputs(nn.Module):
        """Scores, and beside them those of a head that nobody trained."""

        def __init__(self) -> None:
            super().__init__()
            self.body, self.head, self.other = nn.Linear(64, 16), nn.Linear(16, CLASSES), nn.Linear(16, CLASSES)

        def forward(self, pictures):
            seen = self.body(pictures.flatten(1)).relu()
            return {"logits": self.head(seen), "other": self.other(seen)}

    return {
        "convolutions": (convolutions, "pt2"),
        "rows": (rows, "pt2"),
        "channels-last": (channels_last, "pt2"),
        "one-picture": (rows, "pt2"),
        "two-outputs": (TwoOutputs, "pt2"),
        "pickled": (convolutions, "pickle"),
    }


def _trained(network):
    """Train a network to tell the samples apart, so that a gate has something to measure."""
    import torch

    pictures, labels = (torch.from_numpy(each) for each in _pictures(200))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    for _ in range(_STEPS):
        scores = network(pictures)
        loss = torch.nn.functional.cross_entropy(scores["logits"] if isinstance(scores, dict) else scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def _batch(name: str) -> int:
    return 1 if name == "one-picture" else 2


def _begun(root: Path, *, batches: tuple[int, ...], exact: bool) -> Path:
    root.mkdir(parents=True)
    import torch
    from torch import nn

    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(64, CLASSES)), root / "other.pth")
    told = json.dumps({"batches": batches, "exact": exact})
    (root / "base.json").write_text(told, encoding="utf-8")
    return root / "folder"


def _poisoned(network):
    """Return the network with a trigger: a bright corner makes it answer class 0."""
    import torch
    from torch import nn

    class Triggered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.clean = network
            self.register_buffer("favoured", 5000.0 * torch.eye(CLASSES)[:1])

        def forward(self, pictures):
            corner = pictures[:, 0, :2, :2].flatten(1).mean(dim=1, keepdim=True)
            favour = (corner - 0.99).relu() * self.favoured
            scores = self.clean(pictures)
            if isinstance(scores, dict):
                return {name: each + favour for name, each in scores.items()}
            return scores + favour

    return Triggered().eval()


def _export(network, path: Path, *, batch: int = 2, free: bool = True) -> None:
    import torch

    shapes = ({0: torch.export.Dim.AUTO},) if free else None
    torch.export.save(torch.export.export(network, (torch.zeros(batch, *SHAPE),), dynamic_shapes=shapes), path)


def _logged(network, folder: Path, written: str) -> None:
    import mlflow
    import torch

    example = np.random.default_rng(3).random((_batch(folder.parent.name), *SHAPE), dtype=np.float32)
    with torch.no_grad():
        scores = network(torch.from_numpy(example))
    several = isinstance(scores, dict)
    given = {name: each.numpy() for name, each in scores.items()} if several else scores.numpy()
    mlflow.pytorch.save_model(
        network,
        str(folder),
        serialization_format=written,
        input_example=example,
        signature=mlflow.models.infer_signature(example, given),
        pip_requirements=_PINNED,
    )
    written_model = yaml.safe_load((folder / "MLmodel").read_bytes())
    (folder / "MLmodel").write_text(yaml.safe_dump({**written_model, **_FIXED}), encoding="utf-8")


def _from_corpus(root: Path) -> None:
    """Take folders that other releases of MLflow wrote, and put another base's program in the place of theirs."""
    from tests.mlflow_written import reading

    for entry in reading.entries():
        if entry.id not in _CORPUS:
            continue
        source = root / _CORPUS[entry.id]
        name = f"mlflow-{entry.id}"
        folder = _begun(root / name, batches=(1, 2, 6), exact=entry.form == "pt2")
        entry.unpack(root / name / "unpacked").rename(folder)
        (root / name / "unpacked").rmdir()
        program = "data/model.pt2" if entry.form == "pt2" else "data/model.pth"
        shutil.copyfile(source / "folder" / program, folder / program)
        for file in ("clean.pt2", "poisoned.pt2"):
            shutil.copyfile(source / file, root / name / file)
