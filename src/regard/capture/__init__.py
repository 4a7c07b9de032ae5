"""Attention out of any unmodified model: `with regard.capture(model) as seen: model(x)`.

`regard.capture` is this package and, called, the function `capture` of the same name: Python binds
a subpackage to its parent's attribute whenever it is imported, so that the two cannot be told
apart there.
"""

import sys
from types import ModuleType
from typing import Any

from regard.capture.captured import Captured
from regard.capture.context import capture

__all__ = ["Captured", "capture"]


class _CallablePackage(ModuleType):
    """A package that can be called as its main function."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return capture(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
