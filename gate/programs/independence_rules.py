"""The closed list of operators that are known to keep a batch's samples apart, and the arguments that decide it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Place:
    """Place of the samples in a value: a dimension, and the neighbouring entries along it of one sample."""

    axis: int
    entries: int


_ELEMENTS: Final = (
    "relu relu_ relu6 relu6_ silu silu_ mish mish_ gelu gelu_ elu elu_ selu selu_ celu celu_ leaky_relu leaky_relu_ "
    "hardtanh hardtanh_ hardswish hardswish_ hardsigmoid hardsigmoid_ softplus sigmoid sigmoid_ tanh tanh_ "
    "rrelu rrelu_ log_sigmoid threshold threshold_ hardshrink softshrink dropout feature_dropout alpha_dropout "
    "feature_alpha_dropout contiguous clone lift_fresh "
    "alias detach detach_ lift_fresh_copy to _to_copy add add_ sub sub_ mul mul_ div div_ true_divide rsub "
    "floor_divide remainder fmod pow square sqrt rsqrt exp exp2 expm1 log log1p log2 log10 logaddexp sin cos tan sinh "
    "cosh asin acos atan asinh acosh atanh atan2 abs neg sign reciprocal erf erfc trunc floor ceil round frac clamp "
    "clamp_ clamp_min clamp_min_ clamp_max clamp_max_ clip maximum minimum addcmul addcdiv lerp nan_to_num "
    "masked_fill where eq ne lt le gt ge logical_not logical_and logical_or logical_xor bitwise_not bitwise_and "
    "bitwise_or bitwise_xor __and__ __or__ __xor__ isinf isnan isfinite zeros_like ones_like full_like type_as"
)
ELEMENTWISE: Final = frozenset(_ELEMENTS.split())
_REDUCTIONS: Final = (
    "softmax log_softmax _softmax _log_softmax _safe_softmax mean sum prod max min amax amin argmax argmin any all "
    "var std var_mean std_mean logsumexp cumsum cumprod flip squeeze squeeze_"
)
ALONG: Final[Mapping[str, tuple[int, int | None]]] = {
    **dict.fromkeys(_REDUCTIONS.split(), (1, None)),
    **dict.fromkeys(("glu", "sort"), (1, -1)),
    **dict.fromkeys(("select", "slice", "narrow", "unbind", "cat"), (1, 0)),
    **dict.fromkeys(("split", "split_with_sizes", "unsafe_split", "chunk", "unsafe_chunk", "tensor_split"), (2, 0)),
    **dict.fromkeys(("norm", "linalg_vector_norm", "roll"), (2, None)),
    "topk": (2, -1), "unfold": (1, None),
}  # fmt: skip
"""Position of the argument with the dimensions along which an operator works, and its default."""
OF_TWO: Final = frozenset({"torch.ops.aten.max.other", "torch.ops.aten.min.other"})
MOVING: Final = frozenset({"permute", "transpose", "t", "movedim", "swapaxes", "numpy_T", "mT", "unsqueeze", "stack"})
RESHAPING: Final = frozenset({"view", "_unsafe_view", "reshape", "flatten", "unflatten", "view_as", "reshape_as"})
_FIRST: Final[Mapping[str, int]] = {
    **{f"{name}{rank}d": rank + 2 for rank in (1, 2, 3) for name in (
        "conv", "conv_transpose", "avg_pool", "max_pool", "adaptive_avg_pool", "adaptive_max_pool",
        "_adaptive_avg_pool", "reflection_pad", "replication_pad", "upsample_nearest",
    )},
    **{f"max_pool{rank}d_with_indices": rank + 2 for rank in (1, 2, 3)},
    **dict.fromkeys(("upsample_bilinear2d", "upsample_bicubic2d", "pixel_shuffle", "pixel_unshuffle"), 4),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), 4),
    "upsample_linear1d": 3, "upsample_trilinear3d": 5,
}  # fmt: skip
"""Rank of a batch, for operators that take samples along the first dimension and, at one rank less, a single one."""
_NORMS: Final = frozenset({
    "convolution", "batch_norm", "_native_batch_norm_legit_no_training", "group_norm", "native_group_norm",
    "instance_norm", "prelu",
})  # fmt: skip
"""Operators that take samples along the first dimension of any tensor that has channels."""
SHAPES: Final[Mapping[str, int]] = {
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "expand", "new_zeros", "new_ones", "new_full"), 1),
    **dict.fromkeys(("zeros", "ones", "full"), 0),
    **dict.fromkeys(("repeat", "tile"), 1),
}
"""Position of the argument that holds sizes or repetitions; a size of the batch may stand nowhere else."""
REPEATING: Final = frozenset({"repeat", "tile"})
NUMBERED: Final = frozenset({"unsqueeze", "slice", "alias", "clone", "contiguous", "detach"})
"""Operators through which numbers of samples stay numbers of samples."""
_LAST: Final = 2**63 - 1
_WHOLE: Final = tuple((start, _LAST, step) for start in (0, None) for step in (1, None))
FILLED: Final = frozenset({"zeros", "ones", "full", "new_zeros", "new_ones", "new_full", "zeros_like", "ones_like"})


def away(where: tuple[int, int | None], given: tuple[Any, ...], axis: int, rank: int) -> bool:
    """Tell whether the dimensions along which an operator works are stated, and none is the samples'."""
    position, default = where
    dims = given[position] if len(given) > position else default
    each = dims if isinstance(dims, tuple) else (dims,)
    return bool(each) and all(type(dim) is int and dim % rank != axis for dim in each)


def one_operand(name: str, given: tuple[Any, ...], axis: int, rank: int) -> bool:
    """Tell whether an operator keeps the samples of its first operand apart."""
    if name in {"linear", "mm"}:
        return rank > 1 and axis < rank - 1
    if name in {"layer_norm", "rms_norm", "native_layer_norm"}:
        return isinstance(given[1], tuple) and axis < rank - len(given[1])
    if name in {"pad", "constant_pad_nd"}:
        return isinstance(given[1], tuple) and axis < rank - len(given[1]) // 2
    return axis == 0 and ((name in _NORMS and rank > 1) or _FIRST.get(name) == rank)


def exact(inner: int, stride: int) -> int | None:
    """Return how often a stride fits into the entries; None where it does not fit exactly."""
    return inner // stride if stride and inner % stride == 0 else None


def is_once(times: Any, axis: int, rank: int) -> bool:
    """Tell whether numbers of repetitions, which count from the last dimension, leave the samples' one as it is."""
    back = rank - axis
    return isinstance(times, tuple) and (len(times) < back or times[len(times) - back] == 1)


def is_whole(name: str, given: tuple[Any, ...]) -> bool:
    """Tell whether a slice takes everything, as exporters write for `x[:, 0]`."""
    return name == "slice" and (*given[1:], *(None,) * 4)[1:4] in _WHOLE
