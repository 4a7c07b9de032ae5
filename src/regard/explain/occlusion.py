"""Occlusion: how far the target falls when a window of the image is covered.

Zeiler & Fergus 2013, "Visualizing and Understanding Convolutional Networks" (arXiv 1311.2901),
section 4.2. They slide a grey square over the image and draw the probability of the class by the
place of the square, so that what matters is low. Beyond the paper:

- the map is the fall of the target's score, so that what speaks for it is above 0 and what speaks
  against it below, and what is at stake is the score that the user chose, not a probability;
- overlapping windows are laid back on the image: a pixel has the mean fall over the windows that
  cover it. That is what Captum's `Occlusion` returns, too, so that both can be compared.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.core.errors import InputError
from regard.explain.altered_copies import CHUNK, Copies, scores_as_wanted
from regard.explain.explainer import Maps, register
from regard.explain.fill import Fill, fill_for
from regard.explain.targets import Score
from regard.explain.window import Window

# The window's share of the image where none is given: 32 of 224 pixels.
_WINDOWS_A_SIDE = 7
# Every window is one number of the map, and nothing averages its error away.
_TOLERANCE = 0.02


def windows_over(
    size: tuple[int, int], window: tuple[int, int], stride: tuple[int, int]
) -> tuple[Window, ...]:
    """Return the windows over an image, row by row; the last of a side may be cut off by the edge.

    Args:
        size: of the image, (height, width).
        window: its (height, width).
        stride: from one to the next, (down, right).

    Raises:
        InputError: a window larger than the image, or a stride that leaves pixels uncovered.

    """
    starts: list[list[int]] = []
    for side, extent, step in zip(size, window, stride, strict=True):
        if not 1 <= extent <= side:
            raise InputError(
                f"a window of {window[0]}×{window[1]} pixels does not fit an image of "
                f"{size[0]}×{size[1]}; choose window= from 1 to {min(size)}"
            )
        if step < 1 or (step > extent and extent < side):
            raise InputError(
                f"a stride of {step} with windows of {extent} pixels leaves some uncovered; "
                f"choose stride= from 1 to {extent}"
            )
        starts.append([i * step for i in range(math.ceil((side - extent) / step) + 1)])
    return tuple(
        Window(top, left, min(top + window[0], size[0]), min(left + window[1], size[1]))
        for top in starts[0]
        for left in starts[1]
    )


@register(
    "occlusion",
    family="perturbation",
    answers="By how much does the target fall when a window of the image is covered?",
    paper="Zeiler & Fergus, 2013",
    arxiv="1311.2901",
    dear=True,
    examples=({"window": 8, "stride": 8}, {"fill": "blur"}, {"fill": 0.5}),
)
def occlusion(
    model: nn.Module,
    images: Tensor,
    score: Score,
    *,
    window: int | tuple[int, int] | None = None,
    stride: int | tuple[int, int] | None = None,
    fill: Fill = "mean",
    precision: Literal["auto", "float32", "bfloat16"] = "float32",
    chunk: int = CHUNK,
) -> Maps:
    """Return the mean fall of the score over the windows that cover a pixel: (batch, row, col).

    One forward pass for each window, and one more; a window under which the image is the fill
    already needs none. On a CPU a pass computes only what the window changes, layer by layer, until
    that is most of the map or reaches a layer that sees all of it.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: of the target.
        window: its side in pixels, or (height, width); None for a seventh of the image's.
        stride: pixels from one window to the next, or (down, right); None for half a window.
        fill: what a covered pixel becomes: `mean` (zero after preprocessing), `blur`, or a number.
        precision: `float32`; `bfloat16`, which is faster and rounds the falls; or `auto`, which
            takes bfloat16 where that is shown not to matter.
        chunk: how many copies run together.

    Raises:
        InputError: a window that does not fit, a stride that leaves gaps, an unknown fill.

    """
    height, width = int(images.shape[2]), int(images.shape[3])
    extent = _pair(window) or (_default_window(height), _default_window(width))
    step = _pair(stride) or (max(1, extent[0] // 2), max(1, extent[1] // 2))
    windows = windows_over((height, width), extent, step)
    fills = fill_for(images, fill)
    values, notes = [], dict.fromkeys(_said(extent, step, window, stride))
    for number in range(images.shape[0]):
        image, covered = images[number], fills[number]
        changing = [w for w in windows if not torch.equal(w.of(image), w.of(covered))]
        changing = _neighbours_together(changing, chunk)
        copies = covered_copies(image, covered, changing)
        scores, why = scores_as_wanted(
            model, copies, score, number, precision, tolerance=_TOLERANCE, chunk=chunk
        )
        notes |= dict.fromkeys(why)
        falls = dict(zip(changing, (scores[0] - scores[1:]).unbind(), strict=True))
        values.append(_mean_over_windows(windows, falls, scores.new_zeros(height, width)))
    return Maps(torch.stack(values), "signed", chosen=tuple(notes))


def covered_copies(image: Tensor, fill: Tensor, windows: Sequence[Window]) -> Copies:
    """Return the image itself, and after it a copy for each window, covered there.

    Args:
        image: (channel, height, width).
        fill: likewise, what covered pixels become.
        windows: to cover, one a copy.

    """

    def make(numbers: Sequence[int]) -> Tensor:
        several = image.expand(len(numbers), *image.shape)
        batch = several.clone(memory_format=torch.channels_last)
        for copy, number in zip(batch, numbers, strict=True):
            if number:
                windows[number - 1].of(copy).copy_(windows[number - 1].of(fill))
        return batch

    # The image itself differs from itself nowhere, which any window covers.
    return Copies(1 + len(windows), make, image, (*windows[:1], *windows))


def _neighbours_together(windows: Sequence[Window], chunk: int) -> list[Window]:
    """Return windows in an order in which a chunk is about square.

    Near a corner of the map less of it can change, and what runs together costs what the largest
    change costs.
    """
    tops = sorted({window.top for window in windows})
    band = {top: row // max(1, math.isqrt(max(0, chunk))) for row, top in enumerate(tops)}
    return sorted(windows, key=lambda window: (band[window.top], window.left, window.top))


def _mean_over_windows(
    windows: tuple[Window, ...], falls: dict[Window, Tensor], total: Tensor
) -> Float[Tensor, "row col"]:
    count = torch.zeros_like(total)
    for window in windows:
        window.of(count).add_(1)
        if window in falls:
            window.of(total).add_(falls[window])
    return total / count


def _default_window(side: int) -> int:
    return max(1, round(side / _WINDOWS_A_SIDE))


def _pair(value: int | tuple[int, int] | None) -> tuple[int, int] | None:
    return (value, value) if isinstance(value, int) else value


def _said(
    extent: tuple[int, ...],
    step: tuple[int, ...],
    window: int | tuple[int, int] | None,
    stride: int | tuple[int, int] | None,
) -> tuple[str, ...]:
    if window is not None and stride is not None:
        return ()
    return (f"windows of {extent[0]}×{extent[1]} pixels, every {step[0]} down and {step[1]} right",)
