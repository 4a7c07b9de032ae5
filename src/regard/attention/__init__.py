"""Attention mechanisms for feature maps (batch, channel, height, width): one paper, one file.

Importing this package registers them all. Each file holds a class, exported here, and the
function that it wraps (`from regard.attention.scaled_dot_product import scaled_dot_product`).
"""

from regard.attention.registry import Mechanism, create, mechanisms, register
from regard.attention.scaled_dot_product import ScaledDotProduct

__all__ = [
    "Mechanism",
    "ScaledDotProduct",
    "create",
    "mechanisms",
    "register",
]
