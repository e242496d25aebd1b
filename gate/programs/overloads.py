"""The reviewed positive list of aten overloads that a graph may call; any other is refused.

Reviewed for: no file, process or library access; no random numbers; no raw storage, stride or resize tricks; no
uninitialised memory; no results whose size depends on data. Left out on purpose: from_file, rand*, bernoulli, empty,
set_, resize_, as_strided, data_ptr, item, nonzero, quantised and sparse operators, and every `out=` variant. Below the
list stand the groups of its operators that several modules use.
"""

from __future__ import annotations

from typing import Final


def _parse(table: str) -> dict[str, frozenset[str]]:
    """Return the overloads by operator from lines of `operator: overload overload; operator; …`."""
    entries = (entry.strip().partition(":") for entry in table.split(";") if entry.strip())
    return {name: frozenset(overloads.split()) or frozenset({"default"}) for name, _, overloads in entries}


_LAYERS = """
linear; bilinear; conv1d: default padding; conv2d: default padding; conv3d: default padding; conv_transpose1d;
conv_transpose2d: input; conv_transpose3d: input; convolution; embedding; batch_norm; instance_norm; group_norm;
layer_norm; rms_norm; native_group_norm; native_layer_norm; _native_batch_norm_legit_no_training;
dropout; dropout_; feature_dropout; feature_dropout_; alpha_dropout; alpha_dropout_; feature_alpha_dropout;
native_dropout; _weight_norm; _weight_norm_interface; lstm: input; gru: input; rnn_tanh: input; rnn_relu: input;
scaled_dot_product_attention; _scaled_dot_product_flash_attention_for_cpu; pixel_shuffle; pixel_unshuffle;
channel_shuffle; native_channel_shuffle; im2col; col2im; affine_grid_generator; grid_sampler; grid_sampler_2d;
upsample_linear1d: default vec; upsample_bilinear2d: default vec; upsample_bicubic2d: default vec;
upsample_trilinear3d: default vec; upsample_nearest1d: default vec; upsample_nearest2d: default vec;
upsample_nearest3d: default vec; _upsample_bilinear2d_aa: default vec; _upsample_bicubic2d_aa: default vec;
"""

_ACTIVATIONS = """
relu; relu_; relu6; relu6_; silu; silu_; mish; mish_; gelu; gelu_; elu; elu_; selu; selu_; celu; celu_; leaky_relu;
leaky_relu_; hardtanh; hardtanh_; hardswish; hardswish_; hardsigmoid; hardsigmoid_; softplus; prelu; sigmoid; sigmoid_;
tanh; tanh_; softmax: int; log_softmax: int; _softmax; _log_softmax; _safe_softmax; log_sigmoid; threshold; threshold_;
hardshrink; softshrink; glu; rrelu; rrelu_;
"""

_POOLING = """
adaptive_avg_pool1d; adaptive_avg_pool2d; adaptive_avg_pool3d; _adaptive_avg_pool2d; _adaptive_avg_pool3d;
adaptive_max_pool1d; adaptive_max_pool2d; adaptive_max_pool3d; avg_pool1d; avg_pool2d; avg_pool3d; max_pool1d;
max_pool2d; max_pool3d; max_pool1d_with_indices; max_pool2d_with_indices; max_pool3d_with_indices;
"""

_SHAPES = """
view; _unsafe_view; view_as; reshape; reshape_as; flatten: using_ints; unflatten: int; expand; expand_as; broadcast_to;
transpose: int; t; permute; movedim: int intlist; swapaxes; numpy_T; mT; squeeze: default dim dims;
squeeze_: default dim dims; unsqueeze; unsqueeze_; contiguous; clone; alias; detach; detach_; lift_fresh;
lift_fresh_copy; chunk; split: Tensor sizes;
split_with_sizes; unsafe_split: Tensor; unsafe_chunk; tensor_split: indices sections; unbind: int; narrow; select: int;
slice: Tensor; diagonal; cat; stack; repeat; repeat_interleave: self_int; roll; flip; pad; constant_pad_nd;
reflection_pad1d; reflection_pad2d; reflection_pad3d; replication_pad1d; replication_pad2d; replication_pad3d;
meshgrid: default indexing; unfold; tile;
tril; triu; index: Tensor; index_select; gather; index_put; scatter: src value; scatter_add;
scatter_reduce: two; select_scatter; slice_scatter; copy; to: device dtype other dtype_layout; _to_copy; type_as;
one_hot;
"""

_CREATION = """
zeros; ones; full; zeros_like; ones_like; full_like; new_zeros; new_ones; new_full; arange: default start start_step;
linspace; scalar_tensor; fill: Scalar Tensor;
"""

_ARITHMETIC = """
add: Scalar Tensor; add_: Scalar Tensor; sub: Scalar Tensor; sub_: Scalar Tensor; mul: Scalar Tensor;
mul_: Scalar Tensor; div: Scalar Tensor Scalar_mode Tensor_mode; div_: Scalar Tensor; true_divide: Scalar Tensor;
rsub: Scalar Tensor; floor_divide: Scalar default; remainder: Scalar Tensor; fmod: Scalar Tensor;
pow: Scalar Tensor_Scalar Tensor_Tensor; square; sqrt; rsqrt; exp; exp2; expm1; log; log1p; log2; log10; logsumexp;
logaddexp; sin; cos; tan; sinh; cosh; asin; acos; atan; asinh; acosh; atanh; atan2; abs; neg; sign; reciprocal; erf;
erfc; trunc; floor; ceil; round: default decimals; frac; clamp: default Tensor; clamp_: default; clamp_min; clamp_min_;
clamp_max; clamp_max_; clip: default; maximum; minimum; addcmul; addcdiv; lerp: Scalar Tensor; nan_to_num; copy_;
fill_: Scalar Tensor; zero_; masked_fill: Scalar Tensor; masked_fill_: Scalar Tensor;
where: self Scalar ScalarOther ScalarSelf; matmul; mm; bmm; mv; dot; addmm; baddbmm; outer; einsum; vdot;
cosine_similarity;
"""

_REDUCTIONS = """
mean: default dim; sum: default dim_IntList; prod: default dim_int; max: default dim other; min: default dim other;
amax; amin; argmax; argmin; any: default dim; all: default dim; var: default dim correction;
std: default dim correction; var_mean: correction; std_mean: correction; norm: Scalar ScalarOpt_dim;
linalg_vector_norm; cumsum; cumprod; sort; topk;
"""

_LOGIC = """
eq: Scalar Tensor; ne: Scalar Tensor; lt: Scalar Tensor; le: Scalar Tensor; gt: Scalar Tensor; ge: Scalar Tensor;
logical_not; logical_and; logical_or; logical_xor; bitwise_not; bitwise_and: Scalar Tensor; bitwise_or: Scalar Tensor;
bitwise_xor: Scalar Tensor; __and__: Scalar Tensor; __or__: Scalar Tensor; __xor__: Scalar Tensor; isinf; isnan;
isfinite;
"""

_SIZES = "sym_size: int; sym_numel; sym_stride: int;"

OVERLOADS: Final = _parse(
    _LAYERS + _ACTIVATIONS + _POOLING + _SHAPES + _CREATION + _ARITHMETIC + _REDUCTIONS + _LOGIC + _SIZES
)
"""Overload names by operator name."""

ASSERTIONS: Final = frozenset({
    "torch.ops.aten._assert_tensor_metadata.default", "torch.ops.aten._assert_scalar.default",
    "torch.ops.aten.sym_constrain_range_for_size.default", "torch.ops.aten.sym_constrain_range.default",
})  # fmt: skip
"""Checks of the exporter that yield nothing; the reader passes over them, shapes are checked by the operators."""

DROPOUTS: Final = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"})
"""The identity at inference, refused in training mode; each has a twin that writes in place."""
RECURRENT: Final = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
ATTENTIONS: Final = frozenset({"scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu"})
SOFTMAXES: Final = frozenset({"softmax", "log_softmax", "_softmax", "_log_softmax", "_safe_softmax"})
TRANSPOSING: Final = frozenset({"t", "transpose", "permute", "numpy_T", "mT", "swapaxes"})
KEEPING: Final = frozenset({
    "detach", "clone", "alias", "contiguous", "lift_fresh", "lift_fresh_copy", *DROPOUTS, "to", "_to_copy", "view",
    "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze",
})  # fmt: skip
"""Operators that keep values and their order; the proof of `decisions` rests on this list."""
