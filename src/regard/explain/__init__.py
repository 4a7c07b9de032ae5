"""Methods that turn records, activations and gradients into explanations."""

from regard.explain import grad_cam as grad_cam
from regard.explain.explainer import Explainer, Maps, methods, register
from regard.explain.rollout import Rollout, rollout, rollout_operator
from regard.explain.see import see, see_batch
from regard.explain.targets import (
    Class,
    Contrast,
    Function,
    Likeliest,
    Region,
    Score,
    Similarity,
    Target,
)
from regard.explain.walk import walk

__all__ = [
    "Class",
    "Contrast",
    "Explainer",
    "Function",
    "Likeliest",
    "Maps",
    "Region",
    "Rollout",
    "Score",
    "Similarity",
    "Target",
    "methods",
    "register",
    "rollout",
    "rollout_operator",
    "see",
    "see_batch",
    "walk",
]
