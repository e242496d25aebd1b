"""Opens each bundle below a folder as a consumer does, and prints what happened as one line of JSON.

A script that runs in the consumer's environment: it needs torch, or torch and MLflow, and nothing of the gate.
"""

import contextlib
import json
import logging
import sys
import warnings
from pathlib import Path

RELATIVE = {"float32": 1e-5, "float64": 1e-10, "float16": 2e-3, "bfloat16": 2e-2}
"""What another release or processor may differ by, of the largest output."""


def by_torch(folder, x):
    """Load by torch alone."""
    import torch

    with torch.no_grad():
        return torch.export.load(folder / "data" / "model.pt2").module()(x)


def by_pytorch(folder, x):
    """Load by MLflow's flavour."""
    import mlflow.pytorch
    import torch

    with torch.no_grad():
        return mlflow.pytorch.load_model(str(folder))(x)


def by_pyfunc(folder, x):
    """Load by MLflow's generic flavour; what goes in and comes out are arrays."""
    import mlflow.pyfunc
    import torch

    model = mlflow.pyfunc.load_model(str(folder))
    return torch.from_numpy(model.predict(x.numpy()))


def tried(load, folder, given):
    """Return `equal`, `close`, how far outputs are off, or the error."""
    import torch

    dtype = getattr(torch, given["dtype"])
    x, expected = (torch.tensor(given[key], dtype=dtype) for key in ("input", "output"))
    try:
        found = load(folder, x)
    except Exception as error:  # noqa: BLE001  # what a consumer is told, whatever it is
        text = str(error).replace(str(folder), "BUNDLE").strip()
        return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"[:160]
    if torch.equal(found, expected):
        return "equal"
    off = float((found.double() - expected.double()).abs().max() / expected.double().abs().max())
    return "close" if off <= RELATIVE[given["dtype"]] else f"differs by {off:.1g}"


def main(root, loaders):
    """Open every bundle by every loader."""
    import torch

    torch.set_num_threads(1)
    opened = {
        folder.name: {
            name: tried(loaders[name], folder / "bundle", json.loads((folder / "expected.json").read_text()))
            for name in loaders
        }
        for folder in sorted(root.iterdir())
    }
    return {"torch": torch.__version__, "opened": opened}


if __name__ == "__main__":
    LOADERS = {"torch": by_torch, "pytorch": by_pytorch, "pyfunc": by_pyfunc}
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(sys.stderr):
        logging.disable(logging.WARNING)
        result = main(Path(sys.argv[1]), {name: LOADERS[name] for name in sys.argv[2:]})
    print(json.dumps(result))  # noqa: T201  # the script's answer
