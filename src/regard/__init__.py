"""Regard: see what a vision model attends to, know whether it is true, add attention where it helps."""

from regard.version import __version__

__all__ = ["__version__"]
