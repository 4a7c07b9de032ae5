"""Which images of a set are asked for."""

from collections.abc import Sequence

from jaxtyping import Int
from torch import Tensor

from regard.core.errors import InputError

Indices = Sequence[int] | slice | Int[Tensor, " chosen"]


def positions(indices: Indices, count: int, name: str) -> list[int]:
    """Return indices as numbers, in their order; those below 0 count from the end.

    Args:
        indices: what is asked for.
        count: how many images there are.
        name: of the set.

    Raises:
        InputError: there is no such image.

    """
    if isinstance(indices, slice):
        indices = range(*indices.indices(count))
    order = [int(index) for index in indices]
    outside = [index for index in order if not -count <= index < count]
    if outside:
        raise InputError(f"{name} has {count} images; there is no image {outside[0]}")
    return order
