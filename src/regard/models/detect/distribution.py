"""A box's sides as distributions over distances, and the loss that teaches them.

Li, Wang, Wu, Chen, Hu, Li, Tang, Yang, "Generalized Focal Loss", 2020 (arXiv 2006.04388),
section 3.2, equations 5 and 6.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

_LAST = 0.01
"""How far a target stays from the last distance, so that it always lies between two."""


def expected(logits: Float[Tensor, "*side bin"]) -> Float[Tensor, "*side"]:
    """Return the mean of the distribution over the distances 0, 1, …, n."""
    distances = torch.arange(logits.shape[-1], device=logits.device, dtype=logits.dtype)
    return logits.softmax(-1) @ distances


def distribution_focal_loss(
    logits: Float[Tensor, "side bin"], targets: Float[Tensor, " side"]
) -> Float[Tensor, " side"]:
    """Return −((y_{i+1} − y) log S_i + (y − y_i) log S_{i+1}) of each side (equation 6).

    Args:
        logits: over the distances 0, 1, …, n; S is their softmax.
        targets: the distances y; those outside [0, n) count as its ends.

    """
    targets = targets.clamp(0, logits.shape[-1] - 1 - _LAST)
    below = targets.floor().long()
    share = targets - below
    near = F.cross_entropy(logits, below, reduction="none")
    far = F.cross_entropy(logits, below + 1, reduction="none")
    return near * (1 - share) + far * share
