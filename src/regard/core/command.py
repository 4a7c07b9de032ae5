"""The command line of this process, for records of how something was made."""

import shlex
import sys
from pathlib import Path


def command_line() -> str:
    """Return the command that this process was started with, as one would type it again.

    `regard …` for our own command, however it was started, and `python SCRIPT …` for a script.
    A process without either (a notebook, `python -c`) has no command that says anything.
    """
    program, *arguments = sys.argv or [""]
    path = Path(program)
    if path.stem == "regard" or path.parts[-2:] == ("regard", "__main__.py"):
        return shlex.join(["regard", *arguments])
    if program.endswith(".py") and path.is_file():
        return shlex.join(["python", program, *arguments])
    return "from Python"
