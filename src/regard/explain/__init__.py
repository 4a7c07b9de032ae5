"""Methods that turn records, activations and gradients into explanations."""

from regard.explain.walk import walk

__all__ = ["walk"]
