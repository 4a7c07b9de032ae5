"""The scores of many altered copies of one image, which is all that perturbation methods run.

Copies are made a chunk at a time, so that memory does not grow with their number, and run in the
channels-last layout, in which convolutions are faster on CPUs and GPUs alike. In bfloat16 they are
faster again, but the scores are rounded: `scores_as_wanted` measures by how much.
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
from regard.explain.changed_part import can_run_in_part, copies_in_part, whole
from regard.explain.clean_chain import CleanChain
from regard.explain.targets import Score
from regard.explain.window import Window

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
        image: which they are copies of, (channel, height, width), if they have windows.
        windows: one for each copy, outside of which it is the image; empty if there are none.

    """

    count: int
    make: Callable[[Sequence[int]], Float[Tensor, "copy channel height width"]]
    image: Float[Tensor, "channel height width"] | None = None
    windows: Sequence[Window] = ()


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


def scores_as_wanted(
    model: nn.Module,
    copies: Copies,
    score: Score,
    number: int,
    wanted: Literal["auto", "float32", "bfloat16"],
    *,
    tolerance: float,
    chunk: int = CHUNK,
    probes: int = _PROBES,
) -> tuple[Float[Tensor, " copy"], tuple[str, ...]]:
    """Return the score of every copy in the precision that is wanted, and why that was chosen.

    `auto` runs a few copies in both precisions, where bfloat16 is fast, and takes bfloat16 if the
    error that it makes in the scores is small against the spread of the scores among the copies.
    An error that is the same for all copies does not count: its mean over those few is taken off.
    No copy runs twice in the precision that is taken.

    Args:
        model: in eval mode.
        copies: of one image.
        score: of the target.
        number: which image of the score's this is.
        wanted: by the user.
        tolerance: the largest standard deviation of the error, as a share of that of the scores.
        chunk: how many copies run together.
        probes: how many copies `auto` runs in both.

    Raises:
        InputError: no such precision, or `chunk` is below 1.

    """
    if wanted in ("float32", "bfloat16"):
        return scores_of(model, copies, score, number, precision=wanted, chunk=chunk), ()
    if wanted != "auto":
        raise unknown_name("precision", wanted, ("auto", "float32", "bfloat16"))
    tried = range(0, copies.count, max(1, copies.count // probes))[:probes]
    sample = copies.make(tried[:1])
    if len(tried) < 2 or sample.dtype != torch.float32 or not multiplies_bfloat16(sample.device):
        return scores_of(model, copies, score, number, chunk=chunk), ()

    def run(numbers: Sequence[int], precision: Precision) -> Tensor:
        return _scores(model, copies, numbers, score, number, precision, chunk)

    exact, rounded = run(tried, "float32"), run(tried, "bfloat16")
    chosen, why = _chosen(exact, rounded, tolerance)
    known = exact if chosen == "float32" else rounded
    bias = (known - exact).mean()
    found = torch.empty(copies.count, dtype=exact.dtype, device=exact.device)
    found[list(tried)] = known
    left = [index for index in range(copies.count) if index not in tried]
    if left:
        found[left] = run(left, chosen)
    return found - bias, (why,)


def _chosen(exact: Tensor, rounded: Tensor, tolerance: float) -> tuple[Precision, str]:
    error, spread = float((rounded - exact).std()), float(exact.std())
    if not spread:
        return "float32", "float32 where all copies have the same score"
    if error <= tolerance * spread:
        return "bfloat16", (
            f"bfloat16 where it changes scores by at most {tolerance:.0%} of their spread"
        )
    return (
        "float32",
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
    in_part = _InPart.of(model, copies)
    found: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, len(numbers), chunk):
            some = numbers[start : start + chunk]
            batch = copies.make(some).contiguous(memory_format=layout)
            output = None if in_part is None else in_part.run(batch, some, precision)
            if output is None:
                in_part = None
                try:
                    output = _run(model, batch, precision)
                except RuntimeError:
                    # Such as `view` on a map: a model may count on the usual layout of images.
                    if found or layout is torch.contiguous_format:
                        raise
                    layout = torch.contiguous_format
                    output = _run(model, copies.make(some).contiguous(), precision)
            found.append(at_least_single(score(output, number)))
    return torch.cat(found)


@dataclass(frozen=True, eq=False)
class _InPart:
    """Runs a model on what differs between the copies and their image."""

    model: nn.Module
    image: Tensor
    windows: Sequence[Window]
    chain: CleanChain

    @classmethod
    def of(cls, model: nn.Module, copies: Copies) -> "_InPart | None":
        if copies.image is None or not copies.windows or not can_run_in_part(model, copies.image):
            return None
        image = copies.image[None].contiguous(memory_format=torch.channels_last)
        return cls(model, image, copies.windows, CleanChain())

    def run(self, batch: Tensor, numbers: Sequence[int], precision: Precision) -> Any:
        """Return the output for copies; None if the model has to see them whole."""
        windows = [self.windows[number] for number in numbers]
        self.chain.rewind()
        try:
            part = copies_in_part(batch, self.image, windows, self.chain)
            return None if part is None else _run(self.model, part, precision)
        except Exception:
            # A model can do what only ordinary tensors can; if it fails with those, too, it is
            # the model's own error, which is then raised.
            return None


def _run(model: nn.Module, batch: Tensor, precision: Precision) -> Any:
    context: AbstractContextManager[Any] = nullcontext()
    if precision == "bfloat16":
        context = torch.autocast(batch.device.type, torch.bfloat16)
    with context:
        output = whole(model(batch))
    if precision == "bfloat16":
        # What the score does with the output should not be rounded again.
        output = tree_map_only(Tensor, _restored, output)
    return output


def _restored(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor
