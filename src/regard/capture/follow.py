"""Where an axis of a tensor went, after a view, a reshape or a transposition."""

from math import prod

from torch import Tensor


def follow_axis(source: Tensor, result: Tensor, axis: int) -> frozenset[int]:
    """Return the axes of `result` that `axis` of `source` became.

    One axis if it only moved, several if it was split, none if it was merged with another.

    Args:
        source: before.
        result: a rearrangement of `source`, in the same memory or copied.
        axis: of `source`, not negative.

    """
    size = source.shape[axis]
    if _same_memory(source, result) and size > 1 and source.stride(axis) > 0:
        stride = source.stride(axis)
        found = frozenset(
            a for a in range(result.dim()) if result.shape[a] == size and result.stride(a) == stride
        )
        if found:
            return found if len(found) == 1 else frozenset()
    if source.shape == result.shape:
        return frozenset({axis})
    return _at(prod(source.shape[:axis]), size, tuple(result.shape))


def _at(before: int, size: int, shape: tuple[int, ...]) -> frozenset[int]:
    """Return the neighbouring axes of `shape` that hold `size` elements behind `before` others."""
    for first in range(len(shape)):
        if prod(shape[:first]) != before or (shape[first] == 1 and size > 1):
            continue
        for last in range(first + 1, len(shape) + 1):
            if prod(shape[first:last]) == size:
                return frozenset(range(first, last))
    return frozenset()


def follow_axes(source: Tensor, result: Tensor, axes: frozenset[int]) -> frozenset[int]:
    """Return what became of several axes."""
    return frozenset().union(*(follow_axis(source, result, axis) for axis in axes))


def _same_memory(source: Tensor, result: Tensor) -> bool:
    if source.device.type == "meta":
        return False
    return source.untyped_storage().data_ptr() == result.untyped_storage().data_ptr()
