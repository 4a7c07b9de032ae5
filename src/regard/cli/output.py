"""What verbs print: one JSON value for machines, or words for people."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON value on stdout and nothing else there.")
]


def print_json(value: Any) -> None:
    """Print one JSON value on stdout."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def console(*, json: bool = False) -> Console:
    """Return where words for people go: stdout, or stderr beside JSON."""
    return Console(stderr=json, highlight=False, soft_wrap=True)
