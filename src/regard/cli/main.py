"""The command `regard`: one verb, one file; errors as one line."""

import errno
import os
import sys
from typing import Any

import typer

from regard.cli import check, compare, demo, evaluate, listing, see, train, walk
from regard.core.errors import InputError, NothingCaptured, RegardError
from regard.version import __version__

app = typer.Typer(
    name="regard",
    help="See what a vision model attends to, check it, and train with attention.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("see")(see.see)
app.command("check")(check.check)
app.command("walk")(walk.walk)
app.add_typer(train.app, name="train")
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("list")(listing.listing)
app.command("demo")(demo.demo)


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Run a command line and exit: 0 fine, 2 the input is wrong, 130 interrupted, 1 our fault."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    try:
        code = app(arguments, standalone_mode=False)
    except _USAGE_ERROR as error:
        # A mistyped option or verb: click's own words, without the box around them.
        return _refuse(error.format_message())
    except (InputError, NothingCaptured) as error:
        return _refuse(str(error))
    except RegardError as error:
        return _refuse(str(error), code=_INTERRUPTED)
    except (KeyboardInterrupt, typer.Abort):
        return _refuse("stopped", code=_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away, as `head` does; nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _refuse(f"no space is left on the device ({error}); free some and try again")
    return code if isinstance(code, int) else 0


_INTERRUPTED = 130

# typer brings its own copy of click from 0.16 on, so that the class has no public name in both.
_USAGE_ERROR: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _refuse(message: str, code: int = 2) -> int:
    print(f"regard: {' '.join(message.split())}", file=sys.stderr)
    return code
