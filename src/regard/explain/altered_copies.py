"""The scores of many altered copies of one image, which is all that perturbation methods run.

Copies are made a chunk at a time, so that memory does not grow with their number, and run in the
channels-last layout, in which convolutions are faster on CPUs and GPUs alike. In bfloat16 they are
faster again, but the scores are rounded: `choose_precision` measures by how much.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from regard.core.errors import InputError, unknown_name
from regard.core.precision import at_least_single, multiplies_bfloat16
from regard.explain.targets import Score

Precision = Literal["float32", "bfloat16"]
"""In which precision copies run; `float32` is that of the model, whatever it is."""

CHUNK = 16
"""Copies that run together: with fewer the CPU is not filled, with more its caches overflow."""

# Of the copies, as many are run in both precisions to compare them.
_PROBES = 8


@dataclass(frozen=True)
class Copies:
    """Altered copies of one image.

    Attributes:
        count: how many.
        make: (their numbers) → (copy, channel, height, width), tensors of their own.

    """

    count: int
    make: Callable[[Sequence[int]], Float[Tensor, "copy channel height width"]]


def scores_of(
    model: nn.Module,
    copies: Copies,
    score: Score,
    number: int,
    *,
    precision: Precision = "float32",
    chunk: int = CHUNK,
) -> Float[Tensor, " copy"]:
    """Return the score of every copy, without gradients.

    Args:
        model: in eval mode.
        copies: of one image.
        score: of the target.
        number: which image of the score's this is.
        precision: `float32`: as the model is; `bfloat16`: under autocast.
        chunk: how many copies run together.

    Raises:
        InputError: `chunk` is below 1.

    """
    return _scores(model, copies, range(copies.count), score, number, precision, chunk)


def choose_precision(
    model: nn.Module,
    copies: Copies,
    score: Score,
    number: int,
    wanted: Literal["auto", "float32", "bfloat16"],
    *,
    tolerance: float,
    chunk: int = CHUNK,
) -> tuple[Precision, tuple[str, ...]]:
    """Return the precision to run copies in, and why, if that was chosen here.

    `auto` runs a few copies in both precisions, where bfloat16 is fast, and takes bfloat16 if the
    error that it makes in the scores is small against the spread of the scores among the copies.
    An error that is the same for all copies changes no ranking and does not count.

    Args:
        model: in eval mode.
        copies: of one image.
        score: of the target.
        number: which image of the score's this is.
        wanted: by the user.
        tolerance: the largest standard deviation of the error, as a share of that of the scores.
        chunk: how many copies run together.

    Raises:
        InputError: no such precision, or `chunk` is below 1.

    """
    if wanted in ("float32", "bfloat16"):
        return wanted, ()
    if wanted != "auto":
        raise unknown_name("precision", wanted, ("auto", "float32", "bfloat16"))
    probes = range(0, copies.count, max(1, copies.count // _PROBES))[:_PROBES]
    sample = copies.make(probes[:1])
    if len(probes) < 2 or sample.dtype != torch.float32 or not multiplies_bfloat16(sample.device):
        return "float32", ()
    exact, rounded = (
        _scores(model, copies, probes, score, number, name, min(chunk, _PROBES))
        for name in ("float32", "bfloat16")
    )
    error, spread = float((rounded - exact).std()), float(exact.std())
    if not spread:
        return "float32", ("float32 where all copies have the same score",)
    if error <= tolerance * spread:
        return "bfloat16", (
            f"bfloat16 where it changes scores by at most {tolerance:.0%} of their spread",
        )
    return "float32", (
        f"float32 where bfloat16 changes scores by over {tolerance:.0%} of their spread",
    )


def _scores(
    model: nn.Module,
    copies: Copies,
    numbers: Sequence[int],
    score: Score,
    number: int,
    precision: Precision,
    chunk: int,
) -> Tensor:
    if chunk < 1:
        raise InputError(f"chunk is {chunk}; at least one copy must run at a time")
    layout = torch.channels_last
    found: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, len(numbers), chunk):
            some = numbers[start : start + chunk]
            try:
                output = _run(model, copies.make(some), precision, layout)
            except RuntimeError:
                # Such as `view` on a map: a model may count on the layout that images usually have.
                if found or layout is torch.contiguous_format:
                    raise
                layout = torch.contiguous_format
                output = _run(model, copies.make(some), precision, layout)
            found.append(at_least_single(score(output, number)))
    return torch.cat(found)


def _run(model: nn.Module, batch: Tensor, precision: Precision, layout: torch.memory_format) -> Any:
    context: AbstractContextManager[Any] = nullcontext()
    if precision == "bfloat16":
        context = torch.autocast(batch.device.type, torch.bfloat16)
    with context:
        output = model(batch.contiguous(memory_format=layout))
    if precision == "bfloat16":
        # What the score does with the output should not be rounded again.
        output = tree_map_only(Tensor, _restored, output)
    return output


def _restored(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor
