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
    if Path(program).stem == "regard" or Path(program).parent.name == "regard":
        return shlex.join(["regard", *arguments])
    if program.endswith(".py") and Path(program).is_file():
        return shlex.join(["python", program, *arguments])
    return "from Python"
