"""Attention out of any unmodified model: `with regard.capture(model) as seen: model(x)`."""

from regard.capture.captured import Captured
from regard.capture.context import capture

__all__ = ["Captured", "capture"]
