"""The oldest releases that open a bundle, by `python -m tests.bundle_opens` (docs/reference/served-bundle.md).

Tried with programs of every kind that the reader accepts (convolutions, attention, recurrent layers, half types,
strided tensors), each opened in an environment of that release and compared with the outputs that it was written with.
"""

from typing import Final

from gate.records.runtime import OLDEST

OLDEST_TORCH: Final = OLDEST["torch"]
"""The first release whose loader takes raw tensors. 2.9.0 opens every program; 2.8.0 asks for a pickle of the weights,
2.7.1 and before for another container. Of the 385 reviewed operators 2.9.0 has each, with the schema of 2.13.0; only
`tril` and `triu` state their diagonal as a plain number there, and take the bundle's all the same."""
OLDEST_MLFLOW: Final = OLDEST["mlflow"]
"""The first release that looks for `data/model.pt2`. 3.9.0 opens every folder; 3.8.1 takes it for a pickled model."""


def opens_with() -> dict[str, str]:
    """Return the oldest release of each loader that opens a bundle, whatever its program.

    What depends on the program is what comes out: `mlflow.pyfunc` yields NumPy arrays, which cannot hold bfloat16, so a
    program that returns it is opened and fails when it predicts; `mlflow.pytorch` and torch are not concerned.
    """
    return {"torch": OLDEST_TORCH, "mlflow": OLDEST_MLFLOW}
