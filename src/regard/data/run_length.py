"""COCO's run lengths: masks as counts of pixels that are outside and inside in turn.

As the COCO API has them (https://github.com/cocodataset/cocoapi, maskApi): columns first, the
first count is of pixels outside; written as a list, or as text, where a count is groups of five
bits, least first, with a sixth bit for "more follow", 48 added to each, and from the third count
on the difference to the count before the last one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from regard.core.errors import InputError


def decode_run_length(counts: Sequence[int] | str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask (height, width) that run lengths stand for.

    Args:
        counts: a list of counts, or their text.
        size: (height, width).

    Raises:
        InputError: the counts do not make up a mask of this size.

    """
    runs = _from_text(counts) if isinstance(counts, str) else list(counts)
    height, width = size
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise InputError(
            f"run lengths of {sum(runs):,} pixels do not make a mask of {height}×{width}"
        )
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def _from_text(text: str) -> list[int]:
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        group = ord(letter) - 48
        if not 0 <= group < 64:
            raise InputError(f"run lengths have the letter {letter!r}, which they cannot")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:  # the highest bit is the sign
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        runs.append(value)
        value = shift = 0
    if shift:
        raise InputError("run lengths end in the middle of a number")
    return runs
