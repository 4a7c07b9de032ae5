"""What is explained: a model in eval mode, images as it wants them, and what it makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor, nn

from regard.core.errors import InputError
from regard.core.labels import label_of
from regard.explain.targets import class_scores, has_classes

Picture = UInt8[np.ndarray, "height width 3"]
ImageLike = Image.Image | Tensor | np.ndarray

# Of the likeliest classes, as many are kept.
_LIKELIEST = 5


@runtime_checkable
class Preprocess(Protocol):
    """What turns a picture into a model's input, in two steps of which the first can be seen."""

    def fit(self, picture: Image.Image) -> Image.Image:
        """Scale and crop to what the model looks at."""
        ...

    def __call__(self, picture: Image.Image) -> Tensor:
        """Return the model's input, (1, 3, height, width)."""
        ...


@dataclass(frozen=True, eq=False)
class Subject:
    """Images on their way into a model.

    Attributes:
        model: the model.
        name: what it is called.
        images: preprocessed, (batch, 3, height, width), on the model's device.
        pictures: what the model sees of each, RGB bytes.
        labels: the class names; empty where there are none.
        headless: True if the model says that it has no class head.
        assumed: what had to be assumed, one sentence each.

    """

    model: nn.Module
    name: str
    images: Float[Tensor, "batch 3 height width"]
    pictures: tuple[Picture, ...]
    labels: tuple[str, ...]
    headless: bool
    assumed: tuple[str, ...]

    def predictions(self, output: Any) -> tuple[tuple[tuple[str, float], ...], ...]:
        """Return the likeliest classes of each image with their probabilities."""
        if self.headless or not has_classes(output):
            return ((),) * len(self.images)
        probabilities = class_scores(output).detach().double().softmax(1)
        values, indices = probabilities.topk(min(_LIKELIEST, probabilities.shape[1]), dim=1)
        return tuple(
            tuple((label_of(i, self.labels), p) for i, p in zip(row, ps, strict=True))
            for row, ps in zip(indices.tolist(), values.tolist(), strict=True)
        )


def subject(
    model: nn.Module,
    images: ImageLike | Sequence[ImageLike],
    *,
    labels: Sequence[str] | None = None,
    preprocess: Preprocess | None = None,
    name: str | None = None,
) -> Subject:
    """Prepare images for a model.

    Args:
        model: any module; one that `regard.load` returned brings its preprocessing and labels.
        images: a picture (Pillow, or RGB bytes (height, width, 3)), several, or a tensor that the
            model's own preprocessing made, (batch, 3, height, width) or (3, height, width).
        labels: the class names; None for the model's own.
        preprocess: from picture to input; None for the model's own.
        name: what the model is called; None for its own name, or its class's.

    Raises:
        InputError: the model is none, or the images are, or no preprocessing is known.

    """
    if not isinstance(model, nn.Module):
        hint = "; load it first: regard.load(…)" if isinstance(model, str) else ""
        raise InputError(f"the model is a {type(model).__name__}, not an nn.Module{hint}")
    preprocess = preprocess if preprocess is not None else getattr(model, "preprocessing", None)
    batch, pictures, assumed = _prepared(images, preprocess)
    own = getattr(model, "labels", None) if labels is None else labels
    return Subject(
        model=model,
        name=name or getattr(model, "name", None) or type(model).__name__,
        images=batch.to(device_of(model)),
        pictures=pictures,
        labels=tuple(own or ()),
        headless=is_headless(model),
        assumed=(*getattr(model, "assumed", ()), *assumed),
    )


def device_of(model: nn.Module) -> torch.device:
    """Return where a model's first tensor is; the CPU for a model without any."""
    tensor = next(model.parameters(), next(model.buffers(), None))
    return torch.device("cpu") if tensor is None else tensor.device


def is_headless(model: nn.Module) -> bool:
    """Return True if a model says that it returns features and no scores of classes."""
    return getattr(model, "num_classes", None) == 0 or getattr(model, "task", "") == "features"


def _prepared(
    images: ImageLike | Sequence[ImageLike], preprocess: Preprocess | None
) -> tuple[Tensor, tuple[Picture, ...], tuple[str, ...]]:
    if isinstance(images, Tensor):
        batch = images[None] if images.ndim == 3 else images
        _check(batch)
        rgb, assumed = _seen(batch.detach(), preprocess)
        return batch.detach(), rgb, assumed
    several = [images] if isinstance(images, (Image.Image, np.ndarray)) else list(images)
    if not several:
        raise InputError("there is no image to explain")
    if isinstance(several[0], Tensor):
        return _prepared(torch.stack([_single(image) for image in several]), preprocess)
    if preprocess is None:
        raise InputError(
            "the model does not say how it wants its images; pass preprocess=, or a tensor "
            "(batch, 3, height, width) as the model wants it"
        )
    pictures = [_picture(image) for image in several]
    batch = torch.cat([preprocess(picture) for picture in pictures])
    return batch, tuple(np.array(preprocess.fit(picture)) for picture in pictures), ()


def _single(image: ImageLike) -> Tensor:
    if not isinstance(image, Tensor) or image.ndim != 3:
        raise InputError("a list of images holds pictures, or tensors (3, height, width), not both")
    return image


def _picture(image: ImageLike) -> Image.Image:
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise InputError(
            f"an image as an array is RGB bytes, (height, width, 3) and uint8; got "
            f"{array.shape} of {array.dtype}"
        )
    return Image.fromarray(array)


def _check(batch: Tensor) -> None:
    if batch.ndim != 4 or batch.shape[1] != 3 or not batch.shape[0]:
        raise InputError(
            f"images are (batch, 3, height, width), got {tuple(batch.shape)}; use "
            "permute(0, 3, 1, 2) for channels last"
        )
    if not batch.is_floating_point() or not torch.isfinite(batch).all():
        raise InputError("images are finite floating-point numbers, preprocessed for the model")


def _seen(
    batch: Tensor, preprocess: Preprocess | None
) -> tuple[tuple[Picture, ...], tuple[str, ...]]:
    """Return what preprocessed images look like; unknown normalisation is undone by its range."""
    denormalise = getattr(preprocess, "denormalise", None)
    rgb = batch.cpu().float() if denormalise is None else denormalise(batch.cpu().float())
    low, high = float(rgb.min()), float(rgb.max())
    assumed: tuple[str, ...] = ()
    if low < -0.2 or high > 1.2:
        rgb = (rgb - low) / max(high - low, 1e-12)
        assumed = (
            "how the tensor was normalised is not known: the picture under the map is stretched "
            "to its range",
        )
    pixels = (255 * rgb.clamp(0, 1)).round().byte().permute(0, 2, 3, 1).numpy()
    return tuple(pixels), assumed
