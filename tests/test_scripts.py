"""Benchmarks, studies and tools still find in the package what they take from it."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(
    path for folder in ("benchmarks", "configs", "tools") for path in (ROOT / folder).glob("*.py")
)


def taken(script):
    """Yield (module, name) of what a script takes from the package; no name for a whole module."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((one.name, None) for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", one.name) for one in node.names)


def exists(module, name):
    """Return True if a module is there and has a name, which may be that of a module inside."""
    try:
        found = importlib.import_module(module)
        if name is not None and not hasattr(found, name):
            importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return False
    return True


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_name_that_a_script_imports_exists(script):
    ours = [(module, name) for module, name in taken(script) if module.split(".")[0] == "regard"]
    assert [one for one in ours if not exists(*one)] == []
