"""Keep a tensor as it was, although the model may write into it later.

Networks write in place (`relu(x, inplace=True)`, `x += shortcut`). Copying every tensor that
capture looks at would double the memory; instead a tensor is copied only when the model is about
to write into its storage.
"""

import weakref
from collections import defaultdict

import torch
from torch import Tensor


class Held:
    """A cell with a tensor in it; `Keeper` swaps the tensor for a copy when it must."""

    __slots__ = ("__weakref__", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def _storage(tensor: Tensor) -> int | None:
    """Return a number for the tensor's memory, or None where it has none (fake, meta, sparse)."""
    if tensor.layout is not torch.strided or tensor.device.type == "meta":
        return None
    return tensor.untyped_storage().data_ptr()


def _set_apart(tensor: Tensor) -> Tensor:
    """Return a copy of `tensor` that stays on the way from its inputs to whatever comes next.

    With gradients on, the original is overwritten with its own copy: the values do not change,
    but what the model computes from it now depends on the copy, so that a gradient with respect
    to the copy exists.
    """
    copy = tensor.clone()
    if torch.is_grad_enabled() and tensor.requires_grad and not tensor.is_leaf:
        tensor.copy_(copy)
    return copy


class Keeper:
    """Hands out cells, and copies what is in them before the model overwrites it."""

    def __init__(self) -> None:
        self._cells: defaultdict[int, weakref.WeakSet[Held]] = defaultdict(weakref.WeakSet)

    def hold(self, tensor: Tensor) -> Held:
        """Return a cell with the tensor; nothing is copied now."""
        cell = Held(tensor)
        storage = _storage(tensor)
        if storage is not None:
            self._cells[storage].add(cell)
        return cell

    def before_write(self, target: Tensor) -> None:
        """Copy every held tensor that shares memory with `target`, which is about to change."""
        storage = _storage(target)
        if storage is None or storage not in self._cells:
            return
        for cell in self._cells.pop(storage):
            cell.tensor = _set_apart(cell.tensor)

    def clear(self) -> None:
        """Forget all cells; their tensors stay with whoever has the cells."""
        self._cells.clear()
