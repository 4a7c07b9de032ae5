"""Methods that turn records, activations and gradients into explanations."""

from regard.explain.rollout import Rollout, rollout, rollout_operator
from regard.explain.walk import walk

__all__ = ["Rollout", "rollout", "rollout_operator", "walk"]
