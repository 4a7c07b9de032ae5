"""The names of torch functions, by what they do to what capture knows of a tensor.

A function, a method and an operator of the same name are one thing here; the trailing underscore
of in-place calls is taken off before.
"""

SAME = frozenset(
    # The same values in the same places, some set to zero perhaps: what it was, it still is.
    [
        "dropout",
        "alpha_dropout",
        "feature_dropout",
        "dropout1d",
        "dropout2d",
        "dropout3d",
        "native_dropout",
        "clone",
        "contiguous",
        "to",
        "type",
        "type_as",
        "float",
        "half",
        "double",
        "bfloat16",
        "detach",
        "alias",
        "masked_fill",
        "nan_to_num",
        "cpu",
        "cuda",
        "tril",
        "triu",
    ]
)
TRANSPOSING = frozenset(
    ["transpose", "swapaxes", "swapdims", "permute", "movedim", "moveaxis", "mT", "T"]
)
REARRANGING = TRANSPOSING | frozenset(
    [
        "view",
        "reshape",
        "flatten",
        "unflatten",
        "squeeze",
        "unsqueeze",
        "expand",
        "expand_as",
        "view_as",
        "reshape_as",
        "repeat",
        "ravel",
        "roll",
    ]
)
SLICING = frozenset(
    [
        "__getitem__",
        "select",
        "narrow",
        "chunk",
        "split",
        "tensor_split",
        "unbind",
        "index_select",
        "split_with_sizes",
    ]
)
ELEMENTWISE = frozenset(
    [
        "neg",
        "abs",
        "exp2",
        "expm1",
        "sqrt",
        "rsqrt",
        "square",
        "pow",
        "log",
        "log1p",
        "reciprocal",
        "erf",
        "softplus",
        "elu",
        "selu",
        "celu",
        "gelu",
        "silu",
        "leaky_relu",
        "prelu",
        "hardswish",
        "mish",
        "softsign",
        "logsigmoid",
        "sin",
        "cos",
        "__rpow__",
        "__rdiv__",
        "__rtruediv__",
    ]
)
ADDING = frozenset(["add", "sub", "subtract", "__radd__", "__rsub__", "rsub"])
RESIZING = frozenset(["interpolate", "upsample"])
JOINING = frozenset(["cat", "concat", "concatenate", "stack"])
REDUCING = frozenset(["sum", "mean"])

STRONG = frozenset(["sigmoid", "expit", "hardsigmoid"])
"""Squashing functions that are used for gating."""
WEAK = frozenset(["relu", "relu6", "tanh", "hardtanh", "clamp", "clip"])
"""Activation functions that may gate."""

MULTIPLYING = frozenset(["mul", "multiply", "__rmul__"])
DIVIDING = frozenset(["div", "divide", "true_divide"])
CONTRACTING = frozenset(
    ["matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "baddbmm", "addmm", "einsum"]
)
LAYERS = frozenset(["linear", "conv1d", "conv2d"])
