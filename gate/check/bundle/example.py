"""The input example of a bundle: zeros of the program's input shape, in the files that MLflow reads.

No sample and nothing of the candidate's own example goes in: it depends on the program and its signature alone. A
bundle has an example where MLflow returns it in a form that the signature takes; without a signature MLflow would read
other number types than the program's.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gate.records.signature import Column, Tensor
from gate.records.written_program import Written

MAX_ELEMENTS: Final = 1 << 18
"""Elements of all tensors together: a megabyte of JSON, or 3 × 295 × 295. Larger programs have no example."""

EXAMPLE, SERVING = "input_example.json", "serving_input_example.json"

_ZEROS: Final[dict[str, Any]] = {
    "boolean": False,
    "integer": 0,
    "long": 0,
    "float": 0.0,
    "double": 0.0,
    "string": "",
    "binary": "",
    "datetime": "1970-01-01T00:00:00",
}


@dataclass(frozen=True)
class Example:
    """An example's two files, and its entry in `MLmodel`."""

    info: dict[str, str]
    files: dict[str, bytes]


def example_of(written: Written) -> Example | None:
    """Return an example of zeros; None where there is none that program, signature and size allow."""
    specs = written.signature.inputs if written.signature else None
    shapes = [tuple(1 if size is None else size for size in one.shape) for one in written.inputs]
    if specs is None or sum(math.prod(max(size, 1) for size in shape) for shape in shapes) > MAX_ELEMENTS:
        return None
    columns = [spec for spec in specs if isinstance(spec, Column)]
    if columns:
        return _frame(columns, shapes)
    return _arrays([spec for spec in specs if isinstance(spec, Tensor)], written, shapes)


def _frame(columns: Sequence[Column], shapes: Sequence[tuple[int, ...]]) -> Example | None:
    """Return rows of a data frame, for one input of shape (rows, columns)."""
    fits = len(shapes) == 1 and len(shapes[0]) == 2 and shapes[0][1] == len(columns)
    if not fits or not all(column.type in _ZEROS for column in columns):
        return None
    row = [_ZEROS[column.type] for column in columns]
    frame: dict[str, Any] = {"data": [row] * shapes[0][0]}
    orient = "values"
    if columns[0].name is not None:
        frame, orient = {"columns": [column.name for column in columns], **frame}, "split"
    return _example({"type": "dataframe", "pandas_orient": orient}, frame, {"dataframe_split": frame})


def _arrays(specs: Sequence[Tensor], written: Written, shapes: Sequence[tuple[int, ...]]) -> Example | None:
    """Return one array, or several by name, where each fits its entry in the signature."""
    fits = len(specs) == len(shapes) and all(
        spec.info.dtype == one.dtype and _takes(spec.info.shape, shape)
        for spec, one, shape in zip(specs, written.inputs, shapes, strict=True)
    )
    if not fits:
        return None
    zeros = [_zeros(shape, one.dtype) for one, shape in zip(written.inputs, shapes, strict=True)]
    named = specs[0].name is not None
    content = {str(spec.name): value for spec, value in zip(specs, zeros, strict=True)} if named else zeros[0]
    return _example({"type": "ndarray"}, content, {"inputs": content})


def _takes(sizes: Sequence[int], shape: Sequence[int]) -> bool:
    return len(sizes) == len(shape) and all(size in (-1, given) for size, given in zip(sizes, shape, strict=True))


def _zeros(shape: Sequence[int], dtype: str) -> Any:
    value: Any = False if dtype == "bool" else 0 if dtype.startswith(("int", "uint")) else 0.0
    for size in reversed(shape):
        value = [value] * size
    return value


def _example(info: dict[str, str], content: Any, serving: Any) -> Example:
    return Example(
        info={"artifact_path": EXAMPLE, "serving_input_path": SERVING, **info},
        files={EXAMPLE: json.dumps(content).encode(), SERVING: json.dumps(serving).encode()},
    )
