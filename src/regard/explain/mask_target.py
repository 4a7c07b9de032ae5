"""Regions of a segmenter's output as targets: the whole mask of a class, any region, a pixel.

Vinogradova, Dibrov & Myers 2020, "Towards Interpretable Semantic Segmentation via Gradient-weighted
Class Activation Mapping" (arXiv 2002.11434), equation 2: what a class mask rests on is asked of the
sum of the class's logits over the pixels where it is predicted; a single pixel and any region are
asked in the same way. Of a region we take the mean, so that regions of any size compare.

Beyond the paper, the score may be the intersection over union of the class with the region, with
probabilities in place of its pixels (Rahman & Wang 2016, "Optimizing Intersection-Over-Union in
Deep Neural Networks for Image Segmentation", section 3): it counts what the class gains around the
region, too.

The region is the one that was found at first: altered copies of the image are asked about the same
pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from regard.core.errors import InputError, unknown_name
from regard.core.labels import class_index, label_of
from regard.explain.place import Place
from regard.explain.targets import Rows, Score, Target, tensor_of

Measure = Literal["sum", "mean", "iou"]
"""How much of a class is in a region: the sum or mean of its logits, or its overlap with it."""

BACKGROUND = ("background", "__background__", "bg", "void", "unlabeled", "unlabelled")
"""Labels of what is no thing."""

Dense = Float[Tensor, "batch class row col"]


@dataclass(frozen=True)
class ClassMask(Target):
    """A whole class mask: a class where it is predicted.

    Attributes:
        name: the class's index or label; None for the class of the largest mask that is not
            background, of each image its own.
        rank: without a name, 0 for the largest mask, 1 for the next, …
        measure: `sum` of the class's logits there, as in the paper; `mean`; or `iou`.

    """

    name: int | str | None = None
    rank: int = 0
    measure: Measure = "sum"

    def score(self, output: Any, labels: Sequence[str]) -> Score:
        """Return the score of the mask.

        Raises:
            InputError: the model is no segmenter, or predicts no such class.

        """
        dense = dense_scores(output).detach()
        predicted = dense.argmax(1)
        if self.name is None:
            classes = [_by_size(mask, labels, self.rank) for mask in predicted]
        else:
            classes = [class_index(self.name, labels, dense.shape[1])] * len(dense)
        regions = [mask == index for mask, index in zip(predicted, classes, strict=True)]
        for number, (region, index) in enumerate(zip(regions, classes, strict=True)):
            if not region.any():
                raise InputError(
                    f"{label_of(index, labels)} is predicted nowhere in image {number}; give "
                    "another class, or a Region of it"
                )
        score = self._score(dense, classes, predicted, labels)
        others = [_another(mask, one) for mask, one in zip(predicted, classes, strict=True)]
        known = [index for index in others if index is not None]
        if len(known) < len(others):
            return score
        return replace(score, other=self._score(dense, known, predicted, labels))

    def _score(
        self, dense: Dense, classes: list[int], predicted: Tensor, labels: Sequence[str]
    ) -> Score:
        """Return the score of one class's mask in each image."""
        regions = [(m == index).to(dense) for m, index in zip(predicted, classes, strict=True)]
        names = [f"the mask of {label_of(index, labels)}" for index in classes]
        return _score(dense, classes, regions, names, labels, self.measure)


@dataclass(frozen=True, eq=False)
class Region(Target):
    """A class over a region of a dense output: the mean of its logits there.

    Attributes:
        name: the class's index, or its label; None for the class that is likeliest there.
        mask: (row, col), True where the region is; scaled to the output's size.
        measure: `mean` of the class's logits there; `sum`; or `iou`.

    """

    name: int | str | None
    mask: Bool[Tensor, "row col"]
    measure: Measure = "mean"

    def score(self, output: Any, labels: Sequence[str]) -> Score:
        """Return the mean logit over the region, or another measure.

        Raises:
            InputError: the model is no segmenter, or the region is empty.

        """
        dense = dense_scores(output).detach()
        wanted = F.interpolate(self.mask[None, None].float(), dense.shape[2:], mode="area")[0, 0]
        wanted = wanted.to(dense)
        if not wanted.any():
            raise InputError("the mask of a region is empty; mark at least one pixel")
        classes = _classes(self.name, dense, wanted, labels)
        names = [f"{label_of(index, labels)} in a region" for index in classes]
        regions = [wanted] * len(dense)
        return _score(dense, classes, regions, names, labels, self.measure)


@dataclass(frozen=True)
class Pixel(Target):
    """A class at one position of a dense output: its logit there.

    Attributes:
        row, col: the position, in shares of the image's height and width, from 0 to below 1.
        name: the class's index, or its label; None for the class that is predicted there.

    """

    row: float
    col: float
    name: int | str | None = None

    def score(self, output: Any, labels: Sequence[str]) -> Score:
        """Return the logit.

        Raises:
            InputError: the model is no segmenter, or the position is not in the image.

        """
        if not (0 <= self.row < 1 and 0 <= self.col < 1):
            raise InputError(
                f"a pixel is at shares of the image's sides, from 0 to below 1; got row {self.row} "
                f"and col {self.col}"
            )
        dense = dense_scores(output).detach()
        rows, cols = dense.shape[2:]
        wanted = dense.new_zeros(rows, cols)
        wanted[int(self.row * rows), int(self.col * cols)] = 1
        classes = _classes(self.name, dense, wanted, labels)
        where = f"{self.col:.0%} from the left and {self.row:.0%} from the top"
        names = [f"{label_of(index, labels)} at {where}" for index in classes]
        return _score(dense, classes, [wanted] * len(dense), names, labels, "mean")


def dense_scores(output: Any) -> Dense:
    """Return scores of classes at every position.

    Of MaskFormer's kin, which return classes and masks of queries, the logarithm of what both come
    to together (Cheng, Schwing & Kirillov 2021, arXiv 2107.06278, section 3.4), whose softmax is
    the share of each class.

    Raises:
        InputError: the model returned none.

    """
    queries, masks = (_field(output, f"{name}_queries_logits") for name in ("class", "masks"))
    if queries is not None and masks is not None:
        classes = queries.softmax(2)[..., :-1]
        shares = torch.einsum("bqc,bqhw->bchw", classes, masks.sigmoid())
        return shares.clamp(min=torch.finfo(shares.dtype).tiny).log()
    scores = tensor_of(output)
    if scores.ndim != 4:
        raise InputError(
            f"a region needs scores (batch, class, row, col); the model returned "
            f"{tuple(scores.shape)}"
        )
    return scores


def is_dense(output: Any) -> bool:
    """Return True if scores of classes at every position can be read from an output."""
    try:
        dense_scores(output)
    except InputError:
        return False
    return True


def overlap(
    dense: Dense, classes: Tensor, regions: Float[Tensor, "batch row col"]
) -> Float[Tensor, " batch"]:
    """Return the intersection over union of a class's probabilities with a region.

    Σ p·m / Σ (p + m − p·m), from 0 to 1; 1 where the class is sure inside and nowhere else.

    Args:
        dense: logits.
        classes: of each image, (batch,).
        regions: m, from 0 to 1.

    """
    shares = _of_class(dense.softmax(1), classes)
    both = (shares * regions).sum((1, 2))
    return both / (shares.sum((1, 2)) + regions.sum((1, 2)) - both)


def _score(
    dense: Dense,
    classes: Sequence[int],
    regions: Sequence[Float[Tensor, "row col"]],
    names: Sequence[str],
    labels: Sequence[str],
    measure: Measure,
) -> Score:
    """Return the score of one class in one region of each image."""
    if measure not in get_args(Measure):
        raise unknown_name("measure of a region", measure, get_args(Measure))
    shares = dense.softmax(1)
    stacked, chosen = torch.stack(list(regions)), torch.tensor(classes, device=dense.device)
    inside = (_of_class(shares, chosen) * stacked).sum((1, 2)) / stacked.sum((1, 2))
    places = tuple(
        Place(label_of(index, labels), sure, mask=region > 0)
        for index, sure, region in zip(classes, inside.tolist(), stacked, strict=True)
    )
    return Score(_measured(chosen, stacked, measure), tuple(names), places, "coarsest")


def _measured(classes: Tensor, regions: Float[Tensor, "batch row col"], measure: Measure) -> Any:
    def of(output: Any, image: Rows) -> Tensor:
        dense = dense_scores(output)
        chosen, wanted = classes.to(dense.device)[image], regions.to(dense)[image]
        if measure == "iou":
            return overlap(dense, chosen, wanted)
        total = (_of_class(dense, chosen) * wanted).sum((1, 2))
        return total if measure == "sum" else total / wanted.sum((1, 2))

    return of


def _of_class(dense: Dense, classes: Tensor) -> Float[Tensor, "batch row col"]:
    """Return the map of one class of each image."""
    return dense[torch.arange(len(dense), device=dense.device), classes]


def _classes(
    name: int | str | None, dense: Dense, region: Tensor, labels: Sequence[str]
) -> list[int]:
    """Return the class of each image: the one that is named, or the likeliest in a region."""
    if name is not None:
        return [class_index(name, labels, dense.shape[1])] * len(dense)
    return (dense.softmax(1) * region).sum((2, 3)).argmax(1).tolist()


def _by_size(predicted: Tensor, labels: Sequence[str], rank: int) -> int:
    """Return the class of the rank-th largest mask; background only where there is nothing else."""
    found, sizes = predicted.unique(return_counts=True)
    order = found[sizes.argsort(descending=True, stable=True)].tolist()
    things = [index for index in order if label_of(index, labels).lower() not in BACKGROUND]
    order = things or order
    if not 0 <= rank < len(order):
        raise InputError(
            f"mask {rank} does not exist: {len(order)} classes are predicted in this image"
        )
    return order[rank]


def _another(predicted: Tensor, own: int) -> int | None:
    """Return the other class that is predicted most often, background too; None where none is."""
    found, sizes = predicted.unique(return_counts=True)
    others = found != own
    return int(found[others][sizes[others].argmax()]) if others.any() else None


def _field(output: Any, name: str) -> Tensor | None:
    value = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
    return value if isinstance(value, Tensor) else None
