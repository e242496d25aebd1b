"""The classes that the JSON in a `.keras` or `.skops` archive would build.

A Keras configuration names Python modules and classes that the loader imports. Keras' own classes pass by a positive
list of modules, and for the old format, which names none, of layer classes; a function stored as bytecode never does.
Of a skops schema, the types of scikit-learn and of plain numbers pass.
"""

import re
from collections.abc import Iterator
from typing import Any

from gate.formats.source import Bounds, UnreadableError

_MAX_DEPTH = 200
_BEGIN = re.compile(rb"\{\s*\"(class_name|module|name|config|registered_name|build_config)\"\s*:")
_KERAS_MODULE = re.compile(
    r"keras(\.src)?\.(layers|models|initializers|regularizers|constraints|activations|optimizers|losses|metrics|"
    r"dtype_policies|random|saving\.object_registration)(\.[a-z_0-9.]+)?|keras(\.src)?|builtins"
)
_CODE_CLASSES = frozenset({"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__lambda__"})
_BUILTIN_CLASSES = frozenset(
    {"dict", "float", "function", "int", "list", "set", "slice", "str", "tuple", "type", "__tuple__", "__numpy__"}
    | {"__tensor__", "__keras_tensor__", "__ellipsis__", "__bytes__", "__typespec__", "NoneType", "bool", "bytes"}
)
_OLD_NAMES = (
    "Functional Model Sequential InputLayer Dense Activation Dropout Flatten Reshape Permute RepeatVector Masking "
    "ActivityRegularization Embedding Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose "
    "SeparableConv1D SeparableConv2D DepthwiseConv1D DepthwiseConv2D Cropping1D Cropping2D Cropping3D UpSampling1D "
    "UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D MaxPooling1D MaxPooling2D MaxPooling3D "
    "AveragePooling1D AveragePooling2D AveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D "
    "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D LSTM GRU SimpleRNN LSTMCell GRUCell "
    "SimpleRNNCell RNN StackedRNNCells Bidirectional TimeDistributed ConvLSTM1D ConvLSTM2D ConvLSTM3D Add Subtract "
    "Multiply Average Maximum Minimum Concatenate Dot BatchNormalization LayerNormalization GroupNormalization "
    "UnitNormalization SpectralNormalization Normalization Rescaling Resizing CenterCrop ReLU LeakyReLU PReLU ELU "
    "Softmax GaussianNoise GaussianDropout AlphaDropout SpatialDropout1D SpatialDropout2D SpatialDropout3D "
    "Attention AdditiveAttention MultiHeadAttention Identity Zeros Ones Constant RandomNormal RandomUniform "
    "TruncatedNormal VarianceScaling Orthogonal GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal "
    "LecunUniform L1 L2 L1L2 MaxNorm NonNeg UnitNorm MinMaxNorm Adam AdamW SGD RMSprop Adagrad Adadelta Adamax "
    "Nadam Ftrl Policy DTypePolicy"
)
_OLD_CLASSES = frozenset(_OLD_NAMES.split())
_SKLEARN_MODULE = re.compile(r"sklearn\.[a-z_0-9.]+|scipy\.sparse(\.[a-z_0-9.]+)?")
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
_SKOPS_CODE = frozenset({"FunctionNode", "MethodNode", "PartialNode", "OperatorFuncNode"})


def config_hazards(value: Any, bounds: Bounds) -> Iterator[str]:
    """Yield the classes in a Keras configuration that run code of the artifact, or are none of Keras' own."""
    for part in _mappings(value, "configuration", bounds):
        if "class_name" in part:
            yield from _class(part)
        if part.get("fn_module") or part.get("fn_name"):
            yield f"function {part.get('fn_module')}.{part.get('fn_name')}"


def schema_hazards(value: Any, bounds: Bounds) -> Iterator[str]:
    """Yield the types in a skops schema that are neither scikit-learn's nor plain."""
    for part in _mappings(value, "schema", bounds):
        if "__class__" in part or "__module__" in part:
            module, name = str(part.get("__module__")), str(part.get("__class__"))
            if (module, name) not in _PLAIN_TYPES and _SKLEARN_MODULE.fullmatch(module) is None:
                yield f"type {module}.{name}"
            elif str(part.get("__loader__")) in _SKOPS_CODE and not module.startswith("sklearn."):
                yield f"{part['__loader__']} of {module}.{name}"


def _mappings(value: Any, what: str, bounds: Bounds, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield every mapping in a JSON value, the outer ones first."""
    if depth > _MAX_DEPTH:
        raise UnreadableError(f"a {what} nested deeper than {_MAX_DEPTH}")
    if isinstance(value, dict):
        bounds.tick()
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _mappings(inner, what, bounds, depth + 1)


def holds_configuration(raw: bytes) -> bool:
    """Tell whether an archive's weights hold JSON from which layers could be built; Keras itself writes none there."""
    return _BEGIN.search(raw) is not None or b"model_config" in raw


def _class(value: dict[str, Any]) -> Iterator[str]:
    name, module, registered = str(value["class_name"]), value.get("module"), value.get("registered_name")
    if name in _CODE_CLASSES:
        yield f"{name} layer"
    elif module == "builtins" and name not in _BUILTIN_CLASSES:
        yield f"builtins.{name}"
    elif isinstance(module, str) and not _KERAS_MODULE.fullmatch(module):
        yield f"class {module}.{name}"
    elif module is None and (registered is not None or name not in _OLD_CLASSES | _BUILTIN_CLASSES):
        yield f"custom class {registered or name}"
    elif module is not None and not isinstance(module, str):
        yield f"class {name} of a module that is no text"
    elif isinstance(registered, str) and ">" in registered:
        yield f"custom class {registered}"
