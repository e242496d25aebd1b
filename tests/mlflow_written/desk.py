"""The trainer's desk: networks, inputs and the calls of MLflow, for one entry. Python 3.11, MLflow 2.9 and later."""

import inspect
import sys
from contextlib import contextmanager
from pathlib import Path

import mlflow
import torch
from torch import nn

OPTIONS = inspect.signature(mlflow.pytorch.save_model).parameters
RELEASE = mlflow.__version__
MAJOR = int(RELEASE.split(".")[0])
EXPORTS = "export_model" in OPTIONS
PINNED = [f"mlflow=={RELEASE}", f"torch=={torch.__version__.split('+')[0]}"]


def pictures_input():
    """Return the two pictures on which an entry's outputs are recorded."""
    return torch.linspace(-1, 1, 128).reshape(2, 1, 8, 8)


def rows_input():
    """Return the two rows on which a table network's outputs are recorded."""
    return torch.linspace(-1, 1, 10).reshape(2, 5)


def library_network():
    """Return a network of library layers alone: 196 parameters, 1 × 8 × 8 pictures, four classes."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 4))
    return nn.Sequential(*layers).eval()


def table_network():
    """Return a network of library layers alone for rows of five numbers."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 4)).eval()


def own(name):
    """Return a network of a class that the trainer's script defines."""
    torch.manual_seed(0)
    return getattr(sys.modules["__main__"], name)().eval()


def scored(network, *inputs):
    """Return a network's outputs as numbers, rounded, for the index."""
    with torch.no_grad():
        return [[round(float(score), 5) for score in row] for row in network(*inputs)]


def saving(form):
    """Return the options by which this release writes `pickle` or `pt2`."""
    if "serialization_format" in OPTIONS:
        return {"serialization_format": form}
    return {"export_model": True} if form == "pt2" else {}


class Desk:
    """One entry's folder, and what was saved into it."""

    def __init__(self, folder, form):
        self.folder, self.form = Path(folder), form
        self.network = library_network()
        self.inputs = (pictures_input(),)

    @property
    def arrays(self):
        """The inputs as NumPy arrays."""
        return [value.numpy() for value in self.inputs]

    @property
    def signature(self):
        """The signature that the trainer infers from an input and its outputs."""
        with torch.no_grad():
            return mlflow.models.infer_signature(self.arrays[0], self.network(*self.inputs).numpy())

    def options(self, options):
        """Return the options of a save or a log; pinned requirements spare MLflow its search, which takes seconds."""
        free = {"conda_env", "extra_pip_requirements", "pip_requirements", "requirements_file", "inferred"}
        pins = {} if free & set(options) else {"pip_requirements": PINNED}
        given = {key: value for key, value in options.items() if key != "inferred"}
        if self.form == "pt2":
            given = {"input_example": self.arrays[0], **given}
        return {**saving(self.form), **pins, **given}

    def save(self, **options):
        """Save with `mlflow.pytorch.save_model`."""
        mlflow.pytorch.save_model(self.network, str(self.folder), **self.options(options))

    def log(self, name="model", **options):
        """Log into a new run and return what MLflow says of the model."""
        with mlflow.start_run():
            where = {"name": name} if MAJOR >= 3 else {"artifact_path": name}
            return mlflow.pytorch.log_model(self.network, **where, **self.options(options))

    def download(self, uri):
        """Download what an address names into the entry's folder."""
        from mlflow.artifacts import download_artifacts

        self.folder.mkdir(parents=True)
        got = Path(download_artifacts(artifact_uri=uri, dst_path=str(self.folder)))
        if got.resolve() != self.folder.resolve():  # MLflow keeps the last part of the artifact's path
            for path in [*got.iterdir()]:
                path.rename(self.folder / path.name)
            got.rmdir()


@contextmanager
def importing(folder):
    """Have a folder of the trainer's own modules on the import path."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
