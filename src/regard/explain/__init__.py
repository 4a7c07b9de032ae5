"""Methods that turn records, activations and gradients into explanations."""

# Importing a method is what registers it.
from regard.explain import (  # noqa: F401
    ablation_cam,
    attention_row,
    d_rise,
    eigen_cam,
    finer_cam,
    grad_cam,
    grad_cam_plus_plus,
    gradient_rollout,
    guided_backpropagation,
    hires_cam,
    input_x_gradient,
    integrated_gradients,
    layer_cam,
    legrad,
    occlusion,
    rise,
    rollout_map,
    saliency,
    score_cam,
    smooth_grad,
    value_weighted_attention,
    x_grad_cam,
)
from regard.explain.box_target import BoxTarget
from regard.explain.explainer import Explainer, Maps, methods, register
from regard.explain.mask_target import ClassMask, Pixel, Region
from regard.explain.rollout import Rollout, rollout, rollout_operator
from regard.explain.targets import (
    Class,
    Contrast,
    Function,
    Likeliest,
    Score,
    Similarity,
    Target,
)
from regard.explain.walk import walk

__all__ = [
    "BoxTarget",
    "Class",
    "ClassMask",
    "Contrast",
    "Explainer",
    "Function",
    "Likeliest",
    "Maps",
    "Pixel",
    "Region",
    "Rollout",
    "Score",
    "Similarity",
    "Target",
    "methods",
    "register",
    "rollout",
    "rollout_operator",
    "walk",
]
