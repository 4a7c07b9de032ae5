"""Focal loss: cross-entropy that places which are already right hardly count in.

Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", 2017 (arXiv
1708.02002), equations 4 and 5 and section 4.1.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from regard.core.errors import InputError


def focal_loss(
    logits: Float[Tensor, "*place"],
    targets: Float[Tensor, "*place"],
    *,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
) -> Float[Tensor, "*place"]:
    """Return −α_t (1 − p_t)^γ log p_t of each place; the paper divides the sum by the positives.

    Args:
        logits: of any shape; each is a yes-or-no question by itself.
        targets: 1 for yes and 0 for no, of the same shape.
        alpha: weight of the positives; the negatives' is 1 − α. None weighs both by 1.
        gamma: 0 makes it cross-entropy (weighed by α).

    Raises:
        InputError: `alpha` outside [0, 1] or `gamma` below 0.

    """
    if (alpha is not None and not 0 <= alpha <= 1) or gamma < 0:
        raise InputError(f"focal loss: alpha={alpha} must be in [0, 1] and gamma={gamma} not < 0")
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    if gamma:
        # 1 − p_t straight from the logits: as a difference it would have no digits left near 0.
        wrong = torch.sigmoid(logits * (1 - 2 * targets))
        entropy = wrong**gamma * entropy
    if alpha is not None:
        entropy = (alpha * targets + (1 - alpha) * (1 - targets)) * entropy
    return entropy


def prior_bias(prior: float) -> float:
    """Return the bias at which σ(bias) = π: the last layer starts out expecting few objects.

    Section 4.1 of the paper: without it the many negatives drown the first steps.

    Raises:
        InputError: `prior` is not between 0 and 1.

    """
    if not 0 < prior < 1:
        raise InputError(f"prior={prior} must be between 0 and 1")
    return -math.log((1 - prior) / prior)
