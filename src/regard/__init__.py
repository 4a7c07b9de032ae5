"""See what a vision model attends to, know whether it is true, add attention where it helps.

Names load when they are first used, so that `import regard` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from regard.version import __version__

if TYPE_CHECKING:
    from regard import attention, check, compare, data, explain, models, show, testing, train
    from regard.capture import Captured, capture
    from regard.check import Verdict, see, see_batch
    from regard.core.errors import InputError, NothingCaptured, RegardError
    from regard.core.explanation import Explanation, load_explanation
    from regard.core.grid import Grid
    from regard.core.record import AttentionRecord
    from regard.explain import walk
    from regard.models import VisionModel
    from regard.models.load import load
    from regard.tasks import evaluate

_PACKAGES = (
    *(
        "attention",
        "capture",
        "check",
        "compare",
        "data",
        "explain",
        "models",
        "show",
        "testing",
        "train",
    ),
)

_NAMES = {
    "AttentionRecord": "regard.core.record",
    "Captured": "regard.capture",
    "Explanation": "regard.core.explanation",
    "Grid": "regard.core.grid",
    "InputError": "regard.core.errors",
    "NothingCaptured": "regard.core.errors",
    "RegardError": "regard.core.errors",
    "Verdict": "regard.core.verdict",
    "VisionModel": "regard.models",
    "evaluate": "regard.tasks",
    "load": "regard.models.load",
    "load_explanation": "regard.core.explanation",
    "see": "regard.check",
    "see_batch": "regard.check",
    "walk": "regard.explain",
}

__all__ = [
    "AttentionRecord",
    "Captured",
    "Explanation",
    "Grid",
    "InputError",
    "NothingCaptured",
    "RegardError",
    "Verdict",
    "VisionModel",
    "__version__",
    "attention",
    "capture",
    "check",
    "compare",
    "data",
    "evaluate",
    "explain",
    "load",
    "load_explanation",
    "models",
    "see",
    "see_batch",
    "show",
    "testing",
    "train",
    "walk",
]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"regard.{name}")
    if name not in _NAMES:
        raise AttributeError(f"module 'regard' has no attribute {name!r}")
    value = getattr(import_module(_NAMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
