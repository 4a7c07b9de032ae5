"""A weights file into an architecture: names, number of classes, and what does not fit."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from regard.core.errors import InputError
from regard.core.seeding import preserved_random_state
from regard.models.weights_file import read_weights

MakeNetwork = Callable[[int], nn.Module]
"""From a number of classes to a network; 0 for one without a head, where there is such."""

# What wrappers put before every name: DataParallel, torch.compile, Lightning, VisionModel, timm.
_PREFIXES = ("module.", "_orig_mod.", "model.", "network.", "net.", "encoder.", "backbone.")
# What wrappers and old versions of PyTorch add or leave out, and evaluation does not need.
_COUNTERS = ("num_batches_tracked", "n_averaged")
# Of each kind of misfit, as many are named.
_NAMED = 3


class Filled(NamedTuple):
    """A network with the weights of a file.

    Attributes:
        network: in eval mode.
        classes: as many as its head tells apart; 0 without a head.
        assumed: what was done to make the file fit, one sentence each.

    """

    network: nn.Module
    classes: int
    assumed: tuple[str, ...]


def fill_from_file(
    make: MakeNetwork, classes: int, path: Path, *, name: str, headless: bool = False
) -> Filled:
    """Make a network as a weights file needs it, and fill it.

    The number of classes is the file's: where nothing but the head differs, the network is made
    again with the head that the file has.

    Args:
        make: from a number of classes to the network.
        classes: as many as the architecture has by default.
        path: the weights file.
        name: of the architecture, for error messages.
        headless: whether `make(0)` gives the network without a head.

    Raises:
        InputError: the file cannot be read safely, or does not fit; the first tensors that are
            missing, left over or of another shape are named.

    """
    weights = read_weights(path)
    with preserved_random_state():
        network = make(classes)
        tensors, assumed = _without_prefixes(weights.tensors, network.state_dict())
        misfit = _misfit(network, tensors)
        found = _head_size(network, tensors, classes)
        tries = [found] if found is not None else [0] if headless else []
        for count in tries if misfit else ():
            other = make(count)
            if not _misfit(other, tensors):
                network, classes, misfit = other, count, ""
    if misfit:
        raise InputError(
            f"{path} does not fit {name}: {misfit}; "
            "give the architecture and options that it was saved from"
        )
    state = network.state_dict()
    network.load_state_dict({k: tensors.get(k, v) for k, v in state.items()})
    return Filled(network.eval(), classes, (*weights.taken, *assumed))


def _without_prefixes(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Take off what stands before every name, until one of the names is the network's."""
    named = {k: v for k, v in tensors.items() if not k.endswith("n_averaged")}
    taken = ""
    while named and not named.keys() & expected.keys():
        prefix = next((p for p in _PREFIXES if all(k.startswith(p) for k in named)), None)
        if prefix is None:
            break
        taken += prefix
        named = {k.removeprefix(prefix): v for k, v in named.items()}
    return named, (f"{taken!r} before the names of all weights was taken off",) if taken else ()


def _misfit(network: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Return what does not fit, in words; empty if everything does."""
    state = network.state_dict()
    missing = [k for k in state if k not in tensors and not k.endswith(_COUNTERS)]
    unexpected = [k for k in tensors if k not in state and not k.endswith(_COUNTERS)]
    misshapen = [
        f"{k} is {tuple(tensors[k].shape)} and should be {tuple(v.shape)}"
        for k, v in state.items()
        if k in tensors and tensors[k].shape != v.shape
    ]
    kinds = (("it lacks", missing), ("it has besides", unexpected), ("", misshapen))
    return "; ".join(f"{what} {_first(names)}".strip() for what, names in kinds if names)


def _first(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _head_size(network: nn.Module, tensors: Mapping[str, Tensor], classes: int) -> int | None:
    """Return the number of classes in the file, if the head is all that is of another shape.

    A head's tensors begin with an axis of classes, or with as many rows for each class.
    """
    counts = set()
    for name, expected in network.state_dict().items():
        found = tensors.get(name)
        if found is None or found.shape == expected.shape:
            continue
        if found.ndim != expected.ndim or found.shape[1:] != expected.shape[1:] or not found.ndim:
            return None
        each, rest = divmod(expected.shape[0], classes)
        if rest or not each or found.shape[0] % each:
            return None
        counts.add(found.shape[0] // each)
    return counts.pop() if len(counts) == 1 else None
