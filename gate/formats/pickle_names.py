"""The imports that a pickle of tensors needs, and those of a pickled network of library layers: two positive lists.

`TENSOR_NAMES` is what torch's weights-only unpickler allows by default (torch 2.13), written out to need no torch.
`LAYER_NAMES` are the classes of `torch.nn.modules`. Everything else is unsafe: a list of forbidden names is always
incomplete, since a pickle can call any importable callable.
"""

from collections.abc import Iterator

_ELEMENTS = "BFloat16 Bool Byte Char Double Float Half Int Long Short"
_STORAGES = f"{_ELEMENTS} ComplexDouble ComplexFloat QInt32 QInt8 QUInt2x4 QUInt4x2 QUInt8"
_CUDA_STORAGES = f"{_ELEMENTS} ComplexDouble ComplexFloat"
_TYPES = (
    "bfloat16 bool complex32 complex64 complex128 float16 float32 float64 float4_e2m1fn_x2 float8_e4m3fn "
    "float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu int1 int2 int3 int4 int5 int6 int7 int8 int16 int32 "
    "int64 uint1 uint2 uint3 uint4 uint5 uint6 uint7 uint8 uint16 uint32 uint64 qint32 qint8 quint2x4 quint4x2 quint8 "
    "bits16 bits1x8 bits2x4 bits4x2 bits8 per_channel_affine per_channel_affine_float_qparams per_channel_symmetric "
    "per_tensor_affine per_tensor_symmetric Size Tensor device"
)
_REBUILDS = (
    "_rebuild_device_tensor_from_cpu_tensor _rebuild_device_tensor_from_numpy _rebuild_meta_tensor_no_storage "
    "_rebuild_nested_tensor _rebuild_parameter _rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor "
    "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_wrapper_subclass"
)
_TENSOR_MODULES = {
    "collections": "Counter OrderedDict",
    "_codecs": "encode",
    "builtins": "bytearray complex set",
    "__builtin__": "bytearray complex set",  # protocol 2 writes the names of Python 2
    "torch": _TYPES,
    "torch._tensor": "_rebuild_from_type_v2",
    "torch._utils": _REBUILDS,
    "torch.nn.parameter": "Parameter",
    "torch.serialization": "_get_layout",
    "torch.storage": "TypedStorage UntypedStorage",
}
_LAYER_MODULES = {
    "activation": (
        "CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid LogSoftmax Mish "
        "MultiheadAttention PReLU ReLU ReLU6 RReLU SELU SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink "
        "Softsign Tanh Tanhshrink Threshold"
    ),
    "batchnorm": "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm",
    "channelshuffle": "ChannelShuffle",
    "container": "ModuleDict ModuleList ParameterDict ParameterList Sequential",
    "conv": "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
    "distance": "CosineSimilarity PairwiseDistance",
    "dropout": "AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout",
    "flatten": "Flatten Unflatten",
    "fold": "Fold Unfold",
    "instancenorm": "InstanceNorm1d InstanceNorm2d InstanceNorm3d",
    "linear": "Bilinear Identity Linear NonDynamicallyQuantizableLinear",
    "normalization": "CrossMapLRN2d GroupNorm LayerNorm LocalResponseNorm RMSNorm",
    "padding": (
        "CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d ReflectionPad1d "
        "ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad1d ZeroPad2d "
        "ZeroPad3d"
    ),
    "pixelshuffle": "PixelShuffle PixelUnshuffle",
    "pooling": (
        "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d "
        "AvgPool1d AvgPool2d AvgPool3d FractionalMaxPool2d FractionalMaxPool3d LPPool1d LPPool2d LPPool3d MaxPool1d "
        "MaxPool2d MaxPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d"
    ),
    "rnn": "GRU GRUCell LSTM LSTMCell RNN RNNCell",
    "sparse": "Embedding EmbeddingBag",
    "transformer": "Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer",
    "upsampling": "Upsample UpsamplingBilinear2d UpsamplingNearest2d",
}


def _tensor_names() -> Iterator[tuple[str, str]]:
    for module, names in _TENSOR_MODULES.items():
        yield from ((module, name) for name in names.split())
    yield from (("torch", f"{element}Storage") for element in _STORAGES.split())
    yield from (("torch.cuda", f"{element}Storage") for element in _CUDA_STORAGES.split())
    for module in ("torch", "torch.cuda"):
        yield from ((module, f"{element}Tensor") for element in _ELEMENTS.split())
    for module in ("torch.sparse", "torch.cuda.sparse"):
        yield from ((module, f"{element}Tensor") for element in _ELEMENTS.split() if element != "Bool")


LIBRARIES = frozenset({"torchvision", "timm", "transformers"})
"""Packages whose classes most pickled image classifiers are built of; the extra `models` installs them."""


def is_of_a_library(module: str, name: str) -> bool:
    """Tell whether a pickled network of a known library makes this import: it says which code runs, and no more."""
    return module.partition(".")[0] in LIBRARIES | {"torch"} or (module, name) == ("functools", "partial")


TENSOR_NAMES = frozenset(_tensor_names())
"""Module and name of everything that a pickle of tensors may import."""
LAYER_NAMES = frozenset(
    (f"torch.nn.modules.{module}", name) for module, names in _LAYER_MODULES.items() for name in names.split()
)
"""Module and name of the layers that a pickle may build; what they hold is examined after loading."""
