"""skops archives: the types that their schema would build, beyond those of scikit-learn and plain numbers."""

import re
from collections.abc import Iterator
from typing import Any

from gate.formats.source import Bounds, UnreadableError

_MAX_DEPTH = 200
_OWN_MODULE = re.compile(r"sklearn\.[a-z_0-9.]+|scipy\.sparse(\.[a-z_0-9.]+)?")
_PLAIN = {
    "builtins": "bool bytearray bytes complex dict float frozenset int list NoneType set slice str tuple type",
    "collections": "Counter OrderedDict defaultdict",
    "numpy": (
        "bool bool_ complex128 complex64 dtype float16 float32 float64 int16 int32 int64 int8 ndarray uint16 uint32 "
        "uint64 uint8 str_ bytes_"
    ),
    "numpy.random": "Generator RandomState",
    "numpy.random.mtrand": "RandomState",
    "numpy.random._generator": "Generator",
    "numpy.ma": "MaskedArray",
    "numpy.dtypes": "Float32DType Float64DType Int32DType Int64DType ObjectDType StrDType",
}
_PLAIN_TYPES = frozenset((module, name) for module, names in _PLAIN.items() for name in names.split())
_CODE_LOADERS = frozenset({"FunctionNode", "MethodNode", "PartialNode", "OperatorFuncNode"})


def schema_hazards(value: Any, bounds: Bounds, depth: int = 0) -> Iterator[str]:
    """Yield the types in a schema that are neither scikit-learn's nor plain."""
    if depth > _MAX_DEPTH:
        raise UnreadableError(f"a schema nested deeper than {_MAX_DEPTH}")
    if isinstance(value, dict):
        bounds.tick()
        if "__class__" in value or "__module__" in value:
            module, name = str(value.get("__module__")), str(value.get("__class__"))
            own = (module, name) in _PLAIN_TYPES or _OWN_MODULE.fullmatch(module) is not None
            if not own:
                yield f"type {module}.{name}"
            elif value.get("__loader__") in _CODE_LOADERS and not module.startswith("sklearn."):
                yield f"{value['__loader__']} of {module}.{name}"
        for inner in value.values():
            yield from schema_hazards(inner, bounds, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from schema_hazards(inner, bounds, depth + 1)
