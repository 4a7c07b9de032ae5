"""Shapes as types: the names of the axes used everywhere in Regard.

jaxtyping annotations cost nothing in use; the tests switch on their enforcement (beartype) for
the whole package.
"""

from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

FeatureMap = Float[Tensor, "batch channel height width"]
"""Features on a grid."""

OutputMap = Float[Tensor, "batch out_channel out_height out_width"]
"""What a layer that changes channels or size makes of a feature map."""

ContextMap = Float[Tensor, "batch context_channel context_height context_width"]
"""A second feature map, of any other size: the keys and values of cross-attention."""

QueryMap = Float[Tensor, "batch key_channel height width"]
"""A query at every position; key_channel is the width d that queries share with keys."""

KeyMap = Float[Tensor, "batch key_channel key_height key_width"]
"""A key at every position of a grid that may differ from the queries'."""

ValueMap = Float[Tensor, "batch channel key_height key_width"]
"""A value for every key."""

Tokens = Float[Tensor, "batch token feature"]
"""A set of tokens: the flattened form of a feature map, or words, or queries."""

Vector = Float[Tensor, "batch channel"]
"""One vector an image."""

Heads = Float[Tensor, "batch head token feature"]
"""Queries, keys or values, split into heads."""

Images = Float[Tensor, "batch 3 height width"]
"""RGB in [0, 1], before a model's own normalisation."""

RawImages = UInt8[Tensor, "batch 3 height width"]
"""RGB bytes, as data sets are kept in memory."""

Labels = Int[Tensor, " batch"]
"""Class indices."""

Mask = Bool[Tensor, "height width"]
"""True inside."""

__all__ = [
    "ContextMap",
    "FeatureMap",
    "Heads",
    "Images",
    "KeyMap",
    "Labels",
    "Mask",
    "OutputMap",
    "QueryMap",
    "RawImages",
    "Tokens",
    "ValueMap",
    "Vector",
]
