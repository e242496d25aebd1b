"""Folders of well-formed parts whose consumer is given something else than what the gate would have measured.

Each kind of a gap between what is judged and what is served, by several variants: the entry point, the loader, the
environment, the grammar of installers, the names of files. Every part is what its own reader expects; the whole is not
what MLflow writes.
"""

from collections.abc import Callable

from tests.corpus.case import Case, hostile, mlmodel
from tests.corpus.consumers import LOADER, REQUIREMENT, UNREADABLE_FILE, exported
from tests.corpus.pickles import UNEXPECTED

_DATA = "    data: data\n"
_LOADER = "loader_module: mlflow.pytorch"
_ENV = "    env:\n      conda: conda.yaml\n      virtualenv: python_env.yaml\n"
_MALICIOUS = b"channels: [conda-forge]\ndependencies: [python=3.11.7, {pip: [charger==1.0]}]\n"
_MISMATCH = ("artifact-integrity", "mismatched-formats")
_Expected = tuple[tuple[str, str], ...]
_Row = tuple[str, str, Callable[[], dict[str, bytes]], _Expected]


def _changed(old: str, new: str, **files: bytes) -> dict[str, bytes]:
    """Return a clean program under an `MLmodel` with one part replaced, and further files by name."""
    return {"MLmodel": mlmodel(old, new), **files}


_ENTRY: tuple[_Row, ...] = (
    (
        "other-data",
        "a clean program for mlflow.pytorch, another folder for mlflow.pyfunc",
        lambda: _changed(_DATA, "    data: other\n", **{"other/model.pt2": exported()}),
        (LOADER, UNEXPECTED),
    ),
    (
        "model-file",
        "mlflow.pyfunc pointed at a file instead of the folder",
        lambda: _changed(_DATA, "    data: data/model.pt2\n"),
        (LOADER,),
    ),
    (
        "no-data",
        "no data for mlflow.pyfunc, which then takes the whole folder",
        lambda: _changed(_DATA, "", **{"model.pt2": exported()}),
        (LOADER, UNEXPECTED),
    ),
    (
        "same-place",
        "data by another spelling of the same folder",
        lambda: _changed(_DATA, "    data: ./data/../data\n"),
        (LOADER,),
    ),
    (
        "two-models",
        "a clean exported program beside a pickle, which MLflow's loader takes first",
        lambda: _changed(_DATA, _DATA, **{"data/model.pth": b"\x80\x02}.", "data/pickle_module_info.txt": b"pickle"}),
        (UNEXPECTED,),
    ),
    (
        "both-elsewhere",
        "both loaders pointed at a folder that MLflow does not write",
        lambda: {
            "MLmodel": mlmodel(_DATA, "    data: served\n").replace(b"model_data: data", b"model_data: served"),
            "served/model.pt2": exported(),
        },
        (LOADER, UNEXPECTED),
    ),
)
_LOADERS: tuple[_Row, ...] = (
    (
        "keras",
        "another of MLflow's own loaders",
        lambda: _changed(_LOADER, "loader_module: mlflow.keras"),
        (LOADER,),
    ),
    (
        "hub",
        "a flavour whose loader fetches a model from a hub",
        lambda: _changed("  pytorch:\n", "  transformers:\n    source_model_name: acme/charger\n  pytorch:\n"),
        (LOADER,),
    ),
    (
        "transformers",
        "the function flavour of a hub's loader",
        lambda: _changed(_LOADER, "loader_module: mlflow.transformers\n    source_model_name: acme/charger"),
        (LOADER,),
    ),
    (
        "sklearn-beside",
        "a second flavour that serves a pickle",
        lambda: _changed(
            "  pytorch:\n", "  sklearn:\n    pickled_model: model.pkl\n  pytorch:\n", **{"model.pkl": b"\x80\x02}."}
        ),
        (LOADER, UNEXPECTED),
    ),
    (
        "case",
        "a loader whose name differs in case",
        lambda: _changed(_LOADER, "loader_module: MLflow.pytorch"),
        (LOADER,),
    ),
    (
        "device",
        "a configuration that MLflow's writer does not leave",
        lambda: _changed("device: null", "device: meta"),
        (LOADER,),
    ),
)
_ENVIRONMENTS: tuple[_Row, ...] = (
    (
        "conda-elsewhere",
        "the conda environment in a file of another name",
        lambda: _changed("conda: conda.yaml", "conda: settings.yaml", **{"settings.yaml": _MALICIOUS}),
        (REQUIREMENT, UNEXPECTED),
    ),
    (
        "virtualenv-elsewhere",
        "the virtual environment in a file of another name",
        lambda: _changed(
            "virtualenv: python_env.yaml", "virtualenv: data/notes.yaml", **{"data/notes.yaml": _MALICIOUS}
        ),
        (REQUIREMENT, UNEXPECTED),
    ),
    (
        "one-text",
        "the environment as one text, as MLflow 1 wrote it",
        lambda: _changed(_ENV, "    env: environment.yaml\n", **{"environment.yaml": _MALICIOUS}),
        (REQUIREMENT, UNEXPECTED),
    ),
    (
        "requirements-file",
        "requirements in a file of another name",
        lambda: _changed(
            "    code: null\n",
            "    code: null\n    requirements_file: {path: reqs.txt}\n",
            **{"reqs.txt": b"charger\n"},
        ),
        (REQUIREMENT, UNEXPECTED),
    ),
    (
        "env-manager",
        "a manager of environments of the artifact's choice",
        lambda: _changed(_ENV, f"{_ENV}    env_manager: conda\n"),
        (REQUIREMENT,),
    ),
)


def _lines(*lines: bytes) -> Callable[[], dict[str, bytes]]:
    return lambda: {"requirements.txt": b"\n".join((b"mlflow==3.17.2", *lines)) + b"\n"}


_INSTALLERS: tuple[_Row, ...] = (
    (
        "comment-continued",
        "a comment that ends in a backslash",
        _lines(b"# pinned \\", b"charger==1.0"),
        (REQUIREMENT,),
    ),
    (
        "coding",
        "a coding line, by which an installer reads UTF-7",
        lambda: {"requirements.txt": b"# -*- coding: utf-7 -*-\nmlflow==3.17.2\n# +AAo-charger\n"},
        (REQUIREMENT,),
    ),
    (
        "byte-order",
        "UTF-16 with a mark",
        lambda: {"requirements.txt": "charger\n".encode("utf-16")},
        (UNREADABLE_FILE, _MISMATCH),
    ),
    ("form-feed", "a form feed, at which an installer splits lines", _lines(b"numpy # \x0ccharger"), (REQUIREMENT,)),
    ("marker", "a second requirement in a marker", _lines(b"numpy; python_version>'3' charger"), (REQUIREMENT,)),
    ("unknown", "a package that nobody listed", _lines(b"torch-charger==2.13.0"), (REQUIREMENT,)),
    ("lookalike", "a name that looks like a listed one", _lines("t\u043erch==2.13.0".encode()), (UNREADABLE_FILE,)),
    ("expanded", "a variable of the installer's environment", _lines(b"${CHARGER}"), (REQUIREMENT,)),
    ("expanded-version", "a variable as a version", _lines(b"torch===${CHARGER}"), (REQUIREMENT,)),
    ("file-as-version", "a version by the letter, a file for pip", _lines(b"torch===1/charger.zip"), (REQUIREMENT,)),
    (
        "option-as-version",
        "a version by the letter, an option for pip",
        _lines(b"torch === --config-settings=charger=1"),
        (REQUIREMENT,),
    ),
    (
        "conda-lines",
        "two lines in one of conda's texts",
        lambda: {"conda.yaml": b'dependencies: [{pip: ["mlflow\\n--index-url https://example.org"]}]\n'},
        (REQUIREMENT,),
    ),
    (
        "other-yaml",
        "YAML that readers decode differently",
        lambda: {"conda.yaml": "dependencies: [python=3.11]\n".encode("utf-16")},
        (UNREADABLE_FILE, _MISMATCH),
    ),
)
_NAMES: tuple[_Row, ...] = (
    (
        "solidus",
        "a full-width solidus in a file's name",
        lambda: {"data\uff0fmodel.pth": b"\x80\x02}."},
        (UNEXPECTED, ("artifact-integrity", "odd-names")),
    ),
    (
        "compatibility",
        "a name that normalises to one that a loader takes first",
        lambda: {"data/model.\uff50th": b"\x80\x02}."},
        (UNEXPECTED, ("artifact-integrity", "odd-names")),
    ),
    (
        "case",
        "a name that is the same where case does not count",
        lambda: {"data/Model.pt2": exported()},
        (UNEXPECTED, ("artifact-integrity", "odd-names")),
    ),
    (
        "dots",
        "a leader of dots that normalises to a step up",
        lambda: {"data/\u2025/model.pt2": exported()},
        (UNEXPECTED, ("artifact-integrity", "odd-names")),
    ),
)
_KINDS = {
    "entry": _ENTRY,
    "loader": _LOADERS,
    "environment": _ENVIRONMENTS,
    "installer": _INSTALLERS,
    "name": _NAMES,
}


def served_cases() -> tuple[Case, ...]:
    """Return the cases, named by their kind."""
    return tuple(
        hostile(
            f"served-{kind}-{name}",
            summary,
            lambda _, files=files: {"data/model.pt2": exported(), **files()},
            *expected,
        )
        for kind, rows in _KINDS.items()
        for name, summary, files, expected in rows
    )
