"""Let `import torchvision` succeed where its compiled operators do not load.

torchvision's wheel is built against one build of torch. Beside another (a CPU wheel, a nightly)
its library of operators is skipped, and then `import torchvision`, and with it timm and
transformers, dies with "operator torchvision::nms does not exist": torchvision registers
shape functions for operators that nobody declared. Declaring the schemas is enough for the
import. Regard never needs these operators; where they do load, it may use them
(`compiled_operator`).
"""

import logging
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_OPERATORS = ("nms", "qnms")

# A library's declarations live as long as the object does.
_declared: list[torch.library.Library] = []


def _load_compiled_operators(package: Path) -> None:
    """Load torchvision's own library of operators; that it does not fit this torch is no error."""
    for library in package.glob("_C*.so"):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            continue


def _missing() -> list[str]:
    return [name for name in _OPERATORS if not hasattr(torch.ops.torchvision, name)]


def declare_missing_operators() -> None:
    """Declare torchvision's operators that did not load, once, and say so once.

    Does nothing where torchvision is absent, already imported, or whole.
    """
    if "torchvision" in sys.modules or _declared:
        return
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    _load_compiled_operators(Path(spec.origin).parent)
    missing = _missing()
    if not missing:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in missing:
        library.define(name + _SCHEMA)
    _declared.append(library)
    logging.getLogger("regard").info(
        "torchvision was built for another torch: its compiled operators (%s) are off",
        ", ".join(missing),
    )


@lru_cache
def compiled_operator(name: str, *, differentiable: bool = False) -> Callable[..., Any] | None:
    """Return `torch.ops.torchvision.NAME` where its compiled kernel loads, or None.

    Args:
        name: of the operator, such as `"nms"`.
        differentiable: ask for its gradient, too.

    """
    declare_missing_operators()
    if not hasattr(torch.ops.torchvision, name):
        return None
    # Declared is not compiled: `import torchvision` works with schemas alone.
    keys = ("CPU", "AutogradCPU") if differentiable else ("CPU",)
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    if not all(has_kernel(f"torchvision::{name}", key) for key in keys):
        return None
    return getattr(torch.ops.torchvision, name)
