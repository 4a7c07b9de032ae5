"""How a processor of transformers treats pictures, found out by showing it some.

A processor's settings do not say it all: some scale by more than they are told, some normalise
twice, some swap channels, and each reads its settings in its own way. What one does to single
colours gives the normalisation exactly. Which rule of ours scales and crops as it does is decided
by a test picture, and what is left of a difference is said.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, get_args

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from regard.core.errors import InputError
from regard.models.preprocessing import Interpolation, Preprocessing, Resize, to_tensor

# Of 255 levels. Rounding after each direction of scaling leaves 0.2 levels on average between
# Pillow and torch; a crop that is off by one pixel makes 2 and more on the test picture.
_SAME = 0.5

_INTERPOLATIONS: tuple[Interpolation, ...] = (
    "nearest", "lanczos", "bilinear", "bicubic", "box", "hamming",
)  # by Pillow's number  # fmt: skip


class _Colours(NamedTuple):
    """What becomes of colours: output channel = (value - mean) / std."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    blue_first: bool


def preprocessing_of(
    processor: Any, side: tuple[int, int]
) -> tuple[Preprocessing, bool, tuple[str, ...]]:
    """Return the preprocessing that does what a processor does.

    Args:
        processor: called with pictures, it returns `pixel_values`.
        side: (height, width), for a processor that gives pictures of different shapes different
            sizes and does not say which.

    Returns:
        the preprocessing, whether blue is the first channel, and what had to be assumed.

    Raises:
        InputError: the processor does not turn a picture into one image (1, 3, height, width).

    """
    wide = probe_picture(640, 480)
    outputs = [_run(processor, picture) for picture in (wide, wide.rotate(90, expand=True))]
    sizes = {(output.shape[2], output.shape[3]) for output in outputs}
    colours = _colours(processor)
    number = int(getattr(processor, "resample", None) or 0) if _resizes(processor) else 2
    rules = {
        "mean": colours.mean,
        "std": colours.std,
        "interpolation": _INTERPOLATIONS[number],
        "margin": "floor",
    }
    if len(sizes) > 1:
        size, rule = _variable_size(processor, side)
        found = Preprocessing(size, resize="squash", **rules)
        said = f"the image processor {rule}; here pictures are scaled to {size[0]}×{size[1]}"
        return found, colours.blue_first, (said,)
    size = sizes.pop()
    shown = outputs[0].flip(1) if colours.blue_first else outputs[0]
    candidates = [
        Preprocessing(size, resize=resize, crop_fraction=fraction, **rules)
        for fraction in _fractions(processor, size)
        for resize in get_args(Resize)
    ]
    differences = [_difference(each, wide, shown) for each in candidates]
    best = int(np.argmin(differences))
    assumed = ()
    if differences[best] > _SAME:
        assumed = (
            "the image processor scales and crops by a rule of its own: what is looked at differs "
            f"from what it gives by {differences[best]:.1f} of 255 levels on a test picture",
        )
    return candidates[best], colours.blue_first, assumed


def probe_picture(width: int, height: int) -> Image.Image:
    """Return a picture that no two ways of scaling and cropping turn into the same."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    x, y = x / 640, y / 640
    rings = np.sin(260 * np.hypot(x - 0.31, y - 0.42) ** 1.5)
    waves = np.sin(40 * x + 9 * np.sin(11 * y))
    disc = (np.hypot(x - 0.6, y - 0.33) < 0.17) - 0.5
    channels = (rings + x, waves + disc, 2 * disc + np.cos(70 * (x - y)))
    pixels = 127.5 + 60 * np.stack(channels, axis=-1)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _run(processor: Any, picture: Image.Image) -> Float[Tensor, "1 3 height width"]:
    output = processor(picture, return_tensors="pt")
    values = output.get("pixel_values")
    if not isinstance(values, Tensor) or values.ndim != 4 or values.shape[:2] != (1, 3):
        got = tuple(values.shape) if isinstance(values, Tensor) else "no pixel_values"
        raise InputError(
            f"{type(processor).__name__} gives {got} for a picture, not (1, 3, height, width)"
        )
    return values.float()


def _colours(processor: Any) -> _Colours:
    """Show black, white and red, and see what becomes of them."""
    black, white, red = (
        # The median, as some processors pad with black.
        _run(processor, Image.new("RGB", (64, 64), colour))[0].double().flatten(1).median(1).values
        for colour in ("black", "white", "red")
    )
    blue_first = bool((red - black)[2].abs() > (red - black)[0].abs())
    if blue_first:
        black, white = black.flip(0), white.flip(0)
    std = 1 / (white - black)
    mean = -black * std
    # Measured in single precision: the digits beyond the seventh are noise.
    return _Colours(_rounded(mean), _rounded(std), blue_first)


def _rounded(values: Tensor) -> tuple[float, float, float]:
    first, second, third = (round(value, 6) + 0.0 for value in values.tolist())  # no -0.0
    return first, second, third


def _resizes(processor: Any) -> bool:
    return getattr(processor, "resample", None) is not None


def _difference(preprocessing: Preprocessing, picture: Image.Image, shown: Tensor) -> float:
    """Return how far apart two preparations are on average, in levels of 255."""
    ours = to_tensor(preprocessing.fit(picture))
    return float(255 * (ours - preprocessing.denormalise(shown)).abs().mean())


def _fractions(processor: Any, size: tuple[int, int]) -> Iterable[float]:
    """Return the shares of a scaled picture that its crop may be, by the processor's settings."""
    sides = _settings(processor, "size")
    scaled = [sides[key] for key in ("shortest_edge", "height", "width") if sides.get(key)]
    found = [min(size) / side for side in scaled]
    found += [224 / 256, getattr(processor, "crop_pct", None) or 1.0, 1.0]
    return sorted({fraction for fraction in found if 0 < fraction <= 1}, reverse=True)


def _settings(processor: Any, name: str) -> dict[str, int]:
    value = getattr(processor, name, None) or {}
    if isinstance(value, int):
        return {"shortest_edge": value}
    found = value if isinstance(value, Mapping) else vars(value)
    keys = ("height", "width", "shortest_edge", "longest_edge")
    return {key: int(found[key]) for key in keys if found.get(key)}


def _variable_size(processor: Any, side: tuple[int, int]) -> tuple[tuple[int, int], str]:
    """Return a fixed size for a processor without one, and its own rule in words."""
    sides = _settings(processor, "size")
    shortest, longest = sides.get("shortest_edge"), sides.get("longest_edge")
    if shortest is None:
        return side, "gives each picture a size of its own"
    limit = f", the longer to {longest} at most" if longest else ""
    return (shortest, shortest), f"scales the shorter side to {shortest} pixels{limit}"
