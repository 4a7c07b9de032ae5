"""Attention mechanisms for feature maps (batch, channel, height, width): one paper, one file.

Importing this package registers them all. Each file holds a class, exported here, and the
function that it wraps (`from regard.attention.scaled_dot_product import scaled_dot_product`).
"""

from regard.attention.attention_gate import AttentionGate
from regard.attention.attention_pool import AttentionPool
from regard.attention.axial import Axial
from regard.attention.bam import BAM
from regard.attention.cbam import CBAM
from regard.attention.coordinate import Coordinate
from regard.attention.cost import Cost, cost
from regard.attention.cross import Cross
from regard.attention.dot_product import DotProduct
from regard.attention.eca import ECA
from regard.attention.external import External
from regard.attention.global_context import GlobalContext
from regard.attention.insert import insert
from regard.attention.linear import Linear
from regard.attention.multi_head import MultiHead
from regard.attention.non_local import NonLocal
from regard.attention.qk_gate import QKGate
from regard.attention.registry import Mechanism, create, mechanisms, register
from regard.attention.scaled_dot_product import ScaledDotProduct
from regard.attention.selective_kernel import SelectiveKernel
from regard.attention.simam import SimAM
from regard.attention.spec import AttentionSpec, parse_attention
from regard.attention.squeeze_excite import SqueezeExcite
from regard.attention.triplet import Triplet
from regard.attention.window import Window

__all__ = [
    "BAM",
    "CBAM",
    "ECA",
    "AttentionGate",
    "AttentionPool",
    "AttentionSpec",
    "Axial",
    "Coordinate",
    "Cost",
    "Cross",
    "DotProduct",
    "External",
    "GlobalContext",
    "Linear",
    "Mechanism",
    "MultiHead",
    "NonLocal",
    "QKGate",
    "ScaledDotProduct",
    "SelectiveKernel",
    "SimAM",
    "SqueezeExcite",
    "Triplet",
    "Window",
    "cost",
    "create",
    "insert",
    "mechanisms",
    "parse_attention",
    "register",
]
