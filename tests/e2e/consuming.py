"""Loads a model as its consumer does and keeps what it answers: `consuming.py MODEL INPUTS OUT`.

In a process of its own, on one thread, with what the environment says of registry and account. `INPUTS` is an `.npz` of
batches; `OUT` gets for each loader and batch the outputs, as `loader/batch`.
"""

import sys
import warnings


def main(model, inputs, out):
    """Load by both of MLflow's loaders, and by torch where it is a folder, and predict every batch."""
    warnings.simplefilter("ignore")
    from pathlib import Path

    import mlflow.pyfunc
    import mlflow.pytorch
    import numpy as np
    import torch

    torch.set_num_threads(1)
    module, function = mlflow.pytorch.load_model(model), mlflow.pyfunc.load_model(model)
    loaders = {"pytorch": lambda x: module(torch.from_numpy(x)).detach().numpy(), "pyfunc": function.predict}
    if (program := Path(model) / "data" / "model.pt2").is_file():
        exported = torch.export.load(program).module()
        loaders["torch"] = lambda x: exported(torch.from_numpy(x)).detach().numpy()
    batches = np.load(inputs)
    found = {f"{name}/{key}": np.asarray(load(batches[key])) for name, load in loaders.items() for key in batches.files}
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
