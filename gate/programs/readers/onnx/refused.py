"""The one error of the ONNX reader, with what to do in the words of people who export ONNX."""

from typing import Final

from gate.programs.refused import RefusedError

UNKNOWN: Final = (
    "docs/reference/onnx.md lists the operators that are mapped: export the network without these, log the PyTorch "
    "model itself with mlflow.pytorch.log_model, or ask for them by name in an issue."
)
SIZES: Final = (
    "Fix every size but the batch: python -m onnxruntime.tools.make_dynamic_shape_fixed --dim_param NAME --dim_value N "
    "MODEL OUT, and log the result with mlflow.onnx.log_model."
)


class OnnxRefusedError(RefusedError):
    """An ONNX model holds something that the table of operators does not read."""

    kind = "ONNX model"
    what_to_do = (
        "Export the trained network again as plain ONNX, in one file, for inference, and log it with "
        "mlflow.onnx.log_model; or log the PyTorch model itself with mlflow.pytorch.log_model."
    )


class BatchDecidesError(OnnxRefusedError):
    """A graph that takes any number of samples computes something else by how many there are."""

    with_any_batch = True
    what_to_do = (
        "Export the network so that each sample gets what it gets alone, with no branch on the size of the batch and "
        "with the axes of every squeeze stated; or fix the batch: python -m "
        "onnxruntime.tools.make_dynamic_shape_fixed --dim_param NAME --dim_value 1 MODEL OUT."
    )
