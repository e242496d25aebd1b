"""Keras models: the layers that the configuration in a `.keras` archive would build.

A configuration names Python modules and classes that the loader imports. Keras' own classes pass by a positive list of
modules, and for the old format, which names none, of layer classes; a function stored as bytecode never does.
"""

import re
from collections.abc import Iterator
from typing import Any

from gate.formats.source import Bounds, UnreadableError

_MAX_DEPTH = 200
_BEGIN = re.compile(rb"\{\s*\"(class_name|module|name|config|registered_name|build_config)\"\s*:")
_OWN_MODULE = re.compile(
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


def config_hazards(value: Any, bounds: Bounds, depth: int = 0) -> Iterator[str]:
    """Yield the classes in a configuration that run code of the artifact, or are none of Keras' own."""
    if depth > _MAX_DEPTH:
        raise UnreadableError(f"a configuration nested deeper than {_MAX_DEPTH}")
    if isinstance(value, dict):
        bounds.tick()
        if "class_name" in value:
            yield from _class(value)
        if value.get("fn_module") or value.get("fn_name"):
            yield f"function {value.get('fn_module')}.{value.get('fn_name')}"
        for inner in value.values():
            yield from config_hazards(inner, bounds, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from config_hazards(inner, bounds, depth + 1)


def holds_configuration(raw: bytes) -> bool:
    """Tell whether an archive's weights hold JSON from which layers could be built; Keras itself writes none there."""
    return _BEGIN.search(raw) is not None or b"model_config" in raw


def _class(value: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the class that one part of a configuration names."""
    name, module, registered = str(value["class_name"]), value.get("module"), value.get("registered_name")
    if name in _CODE_CLASSES:
        yield f"{name} layer"
    elif module == "builtins" and name not in _BUILTIN_CLASSES:
        yield f"builtins.{name}"
    elif isinstance(module, str) and not _OWN_MODULE.fullmatch(module):
        yield f"class {module}.{name}"
    elif module is None and (registered is not None or name not in _OLD_CLASSES | _BUILTIN_CLASSES):
        yield f"custom class {registered or name}"
    elif module is not None and not isinstance(module, str):
        yield f"class {name} of a module that is no text"
    elif isinstance(registered, str) and ">" in registered:
        yield f"custom class {registered}"
