"""Artifacts as people save them, on which nothing may be found: the false alarms of the detectors on bytes."""

import io
import json
from collections.abc import Callable

from tests.corpus import formats
from tests.corpus.case import FRAME, MODULES, Case, folder
from tests.corpus.consumers import exported
from tests.corpus.pickles import UNEXPECTED
from tests.corpus.zipping import zipped


def _network() -> object:
    from torch import nn

    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    return nn.Sequential(*layers).eval()


def _torch(value: Callable[[], object], *, zipped_file: bool = True) -> bytes:
    import torch

    out = io.BytesIO()
    torch.save(value(), out, _use_new_zipfile_serialization=zipped_file)
    return out.getvalue()


def _state() -> object:
    state = _network().state_dict()  # type: ignore[attr-defined]
    return {"epoch": 3, "names": ["a", "b"], "state": state}


def _npy() -> bytes:
    import numpy as np

    out = io.BytesIO()
    np.save(out, np.zeros((3, 4), dtype="float32"))
    return out.getvalue()


def _savez(*, compressed: bool) -> bytes:
    import numpy as np

    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, a=np.zeros((3, 4)), b=np.arange(500))
    return out.getvalue()


def _many_types() -> object:
    import torch

    whole = torch.arange(100.0)
    kinds = ("uint16", "float8_e4m3fn", "bfloat16", "complex64", "bool")
    tensors = {kind: torch.zeros(3).to(getattr(torch, kind)) for kind in kinds}
    return {**tensors, "whole": whole, "view": whole[3:7], "empty": torch.zeros(0)}


def _skops() -> bytes:
    import skops.io
    from sklearn.linear_model import LogisticRegression

    return skops.io.dumps(LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]))


def _tensors() -> bytes:
    entry = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    return formats.safetensors({"__metadata__": {"format": "pt"}, "w": entry}, bytes(16))


_FILES: tuple[tuple[str, str, str, Callable[[], bytes]], ...] = (
    ("exported", "an exported program", "data/model.pt2", exported),
    ("state-dict", "a state dict in a torch archive", "data/model.pth", lambda: _torch(_state)),
    ("legacy-state-dict", "a state dict without a zip", "data/model.pth", lambda: _torch(_state, zipped_file=False)),
    ("module", "a pickled network of library layers", "data/model.pth", lambda: _torch(_network)),
    ("many-types", "tensors of many types, views and none", "data/model.pth", lambda: _torch(_many_types)),
)
_OTHERS: tuple[tuple[str, str, str, Callable[[], bytes]], ...] = (
    ("safetensors", "a safetensors file", "data/model.safetensors", _tensors),
    ("array", "a NumPy array of numbers", "data/weights.npy", _npy),
    ("arrays", "a zip of NumPy arrays", "data/weights.npz", lambda: zipped({"a.npy": _npy(), "b.npy": _npy()})),
    ("savez", "arrays as numpy.savez writes them", "data/weights.npz", lambda: _savez(compressed=False)),
    ("savez-compressed", "compressed arrays", "data/weights.npz", lambda: _savez(compressed=True)),
    ("skops", "a scikit-learn model in skops", "data/model.skops", _skops),
    ("onnx", "an ONNX model", "data/model.onnx", formats.onnx),
    ("keras", "a Keras model", "data/model.keras", lambda: formats.keras_zip(formats.RELU)),
    ("old-keras", "an HDF5 Keras model", "data/m.h5", lambda: formats.old_keras({"class_name": "ReLU", "config": {}})),
    ("gguf", "a GGUF file with a plain template", "data/model.gguf", lambda: formats.gguf(formats.PLAIN_TEMPLATE)),
)
"""Well-formed files of other frameworks: MLflow writes none for this flavour, and the gate reads some of them."""


def _counted(name: str) -> tuple[tuple[str, str], ...]:
    """Return what is counted of such a file, and nothing else may be."""
    return (UNEXPECTED, formats.UNREADABLE_FORMAT) if name in ("old-keras", "gguf") else (UNEXPECTED,)


_REQUIREMENTS = b"""\
mlflow==3.17.2
cloudpickle
numpy>=2,<3; python_version >= '3.11'
torch[opt]~=2.13  # pinned
-c constraints.txt
"""


def benign_cases() -> tuple[Case, ...]:
    """Return the benign cases."""
    singles = (
        Case(
            f"benign-{name}",
            summary,
            lambda root, _, path=path, build=build: folder(root, {path: build()}),
            tolerated=(MODULES,) if name == "module" else (),
        )
        for name, summary, path, build in _FILES
    )
    others = (
        Case(
            f"other-{name}",
            f"{summary}, which mlflow.pytorch does not write",
            lambda root, _, path=path, build=build: folder(root, {path: build()}),
            _counted(name),
            _counted(name),
        )
        for name, summary, path, build in _OTHERS
    )
    examples = {
        "input_example.json": json.dumps([[0.5, None]]).encode(),
        "serving_input_example.json": b'{"inputs": [[NaN]]}',
        "metadata/MLmodel": FRAME["MLmodel"],
        "metadata/requirements.txt": FRAME["requirements.txt"],
        "data/pickle_module_info.txt": b"mlflow.pytorch.pickle_module",
        "requirements.txt": _REQUIREMENTS,
        "constraints.txt": b"torch<3\n",
        "environment_variables.txt": b"# Names that the model asked for.\nOPENAI_API_KEY\n",
        "LICENSE": b"Apache-2.0\n",
        "extra_files/labels.json": b'["cat", "dog"]',
    }
    return (
        *singles,
        *others,
        Case(
            "benign-frame",
            "the files around a model",
            lambda root, _: folder(root, {**examples, "data/model.pth": _torch(_network)}),
            tolerated=(MODULES,),
        ),
    )
