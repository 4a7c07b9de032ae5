"""Networks by name, and where attention goes in each when the user names no place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from regard.core.registry import Registry

Builder = TypeVar("Builder", bound=Callable[..., nn.Module])


@dataclass(frozen=True)
class Places:
    """Where a mechanism goes by default, as a glob over module names.

    Attributes:
        gate: for gates; their papers put them into every residual branch.
        mixing: for mechanisms that mix positions; behind the last stage positions are few.

    """

    gate: str
    mixing: str


@dataclass(frozen=True)
class Widening:
    """How a network is made wider, so that it can be given as many parameters as another one.

    Attributes:
        option: sets how wide the network is.
        step: the least by which that can grow; a whole number where the option must be one.
        along: whole-number options that grow by the same factor.

    """

    option: str
    step: int | float = 1
    along: tuple[str, ...] = ()


@dataclass(frozen=True)
class Network:
    """What Regard knows of a network.

    Attributes:
        name: the name users write.
        build: called as `build(classes, **options)`.
        paper: authors and year.
        size: side of the input in pixels that it was made for.
        places: where attention goes when no place is named.
        arxiv: the arXiv id, or None.
        attention: the mechanism it has when the user names none, or None.
        sized: whether `build` takes the side of the input as `size`, because weights depend on it.
        widens: how it is made wider; None where it cannot be.
        task: `classify`, `detect` or `segment`.

    """

    name: str
    build: Callable[..., nn.Module]
    paper: str
    size: int
    places: Places
    arxiv: str | None = None
    attention: str | None = None
    sized: bool = False
    widens: Widening | None = None
    task: str = "classify"


networks: Registry[Network] = Registry("model")
"""The classifiers."""

detectors: Registry[Network] = Registry("detector")

segmenters: Registry[Network] = Registry("segmenter")

BY_TASK: Mapping[str, Registry[Network]] = {
    "classify": networks,
    "detect": detectors,
    "segment": segmenters,
}
"""The networks of each task; no two have the same name."""


def register(
    name: str,
    *,
    paper: str,
    size: int,
    places: Places,
    arxiv: str | None = None,
    attention: str | None = None,
    sized: bool = False,
    widens: Widening | None = None,
    task: str = "classify",
) -> Callable[[Builder], Builder]:
    """Register a function `build(classes, **options)` as a network of a task."""

    def add(build: Builder) -> Builder:
        BY_TASK[task].add(
            name, Network(name, build, paper, size, places, arxiv, attention, sized, widens, task)
        )
        return build

    return add
