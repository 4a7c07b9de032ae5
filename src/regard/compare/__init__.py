"""Compare variants of a network over several seeds, and say what may be said.

A study trains every variant with the same seeds, the same data in the same order and the same
first weights; reads the test split once, at the end; and tells differences with intervals, exact
p-values and a sentence for each variant.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regard.compare.config import read_study
    from regard.compare.merge import merge
    from regard.compare.part import export
    from regard.compare.report_study import report
    from regard.compare.run_study import run
    from regard.compare.study import Study

_NAMES = {
    "Study": "study",
    "export": "part",
    "merge": "merge",
    "read_study": "config",
    "report": "report_study",
    "run": "run_study",
}

__all__ = ["Study", "export", "merge", "read_study", "report", "run"]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    globals()[name] = value
    return value
