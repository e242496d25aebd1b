"""The gate's own table of ONNX operators; docs/reference/onnx.md is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gate.programs.readers.onnx.elementwise import ELEMENTWISE
from gate.programs.readers.onnx.forms import FORMS
from gate.programs.readers.onnx.layers import LAYERS
from gate.programs.readers.onnx.windows import WINDOWS

if TYPE_CHECKING:
    from gate.programs.readers.onnx.calls import Operator

OPERATORS: Final[dict[str, Operator]] = {**ELEMENTWISE, **FORMS, **LAYERS, **WINDOWS}
"""Operators of the default domain by name."""
