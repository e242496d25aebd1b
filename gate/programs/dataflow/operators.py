"""Kinds of operators, as far as the structure of a classifier is concerned."""

from typing import Final

LAYERS: Final = frozenset({
    "linear", "bilinear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "convolution", "lstm", "gru", "rnn_tanh", "rnn_relu",
})  # fmt: skip
"""Layers with weights, from any source."""
PRODUCTS: Final = frozenset(
    {"matmul", "mm", "bmm", "mv", "dot", "addmm", "baddbmm", "einsum", "outer", "embedding", "vdot"}
)
"""Layers where one factor does not depend on the input; otherwise, as in attention, a mixing of two values."""
FORM_ONLY: Final = frozenset({"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "zero_"})
"""Operators that take their operand's shape and none of its content."""
FORM_OF_SECOND: Final = frozenset({"expand_as", "view_as", "reshape_as", "type_as", "to"})
"""Operators that take only the shape or type of their second operand."""
FORM_OF_FIRST: Final = frozenset({"copy", "copy_"})
"""Operators that take only the shape or type of the first operand, where there is a second."""
FILLS: Final = frozenset({"fill", "fill_"})
"""Operators that always take only the shape or type of the first operand."""
STEPS: Final = frozenset({
    "eq", "ne", "lt", "le", "gt", "ge", "sign", "round", "floor", "ceil", "trunc", "frac", "floor_divide",
    "remainder", "fmod", "argmax", "argmin", "one_hot", "isnan", "isinf", "isfinite", "logical_not", "any", "all",
})  # fmt: skip
"""Operators whose result jumps where their operand moves continuously: no gradient shows the way through."""
SCALINGS: Final = frozenset(
    {"mul", "mul_", "where", "addcmul", "outer", "masked_fill", "masked_fill_", "lerp", "index"}
)
"""Operators that may expand few numbers to a whole constant pattern."""
MIXING: Final = frozenset({
    "softmax", "log_softmax", "_softmax", "_log_softmax", "_safe_softmax", "layer_norm", "native_layer_norm",
    "rms_norm", "group_norm", "native_group_norm", "instance_norm", "cumsum", "cumprod", "sort", "roll", "flip",
    "transpose", "permute", "tril", "triu", "gather", "index", "index_select", "scatter", "index_put",
    "_weight_norm", "_weight_norm_interface",
})  # fmt: skip
"""Operators that keep the size but let one place depend on others."""
