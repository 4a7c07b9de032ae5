"""What is said where images of a source cannot be used."""

import logging
from collections.abc import Sequence


def warn_left_out(name: str, problems: Sequence[str], count: int) -> None:
    """Say in the log how many images are left out and why the first is; nothing where none is.

    Args:
        name: of the source.
        problems: why, one line an image.
        count: how many images there were.

    """
    if problems:
        logging.getLogger("regard").warning(
            "%s: %d of %d images are left out, the first: %s",
            name,
            len(problems),
            count,
            problems[0],
        )
