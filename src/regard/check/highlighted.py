"""The image as far as a map lets it be seen: each pixel multiplied by the map there."""

from collections.abc import Sequence
from hashlib import blake2b

import torch
from jaxtyping import Float
from torch import Tensor

from regard.check.case import Case
from regard.core.errors import InputError
from regard.explain.fill import fill_for


def visibility(
    maps: Float[Tensor, "map height width"],
) -> Float[Tensor, "map height width"]:
    """Return the maps from 0 at their weakest to 1 at their strongest; 0 if they have neither."""
    least, most = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    extent = most - least
    return torch.where(extent > 0, (maps - least) / torch.where(extent > 0, extent, 1.0), 0.0)


def highlighted_scores(
    case: Case, maps: Float[Tensor, "map height width"], fill: str | int | float
) -> Float[Tensor, " map"]:
    """Return the score of the image multiplied by each map.

    Args:
        case: what is looked at; one forward pass for each map that was not seen before.
        maps: (map, height, width).
        fill: what shines through where the map is weak: `mean`, `blur`, or a number.

    Raises:
        InputError: no such fill, or a map that is not finite.

    """
    if not bool(maps.isfinite().all()):
        raise InputError("a map is infinite or no number somewhere; it cannot cover an image")
    if isinstance(fill, str) and fill != "mean" and fill != "blur":
        raise InputError(f"fill is {fill!r}; choose 'mean', 'blur' or a number")
    behind = fill_for(case.image, fill)
    seen = visibility(maps.detach().double().cpu())
    names = [blake2b(one.numpy().tobytes(), digest_size=16).digest() for one in seen]
    known: dict[bytes, float] = case.once(("highlighted", fill), dict)
    new = {name: number for number, name in enumerate(names) if name not in known}
    numbers = list(new.values())

    def copies(some: Sequence[int]) -> Tensor:
        weights = seen[[numbers[number] for number in some]][:, None].to(case.image)
        return behind + weights * (case.image - behind)

    if new:
        known.update(zip(new, case.scores(len(numbers), copies).tolist(), strict=True))
    return torch.tensor([known[name] for name in names], dtype=torch.float64)
