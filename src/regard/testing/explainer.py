"""The contract of a method that explains, as a list of named checks that anyone can run."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from regard.core.errors import InputError
from regard.explain.explainer import Explainer, methods
from regard.testing.contract import ContractCheck, checks_of
from regard.testing.explained import (
    CLASSES,
    MODELS,
    SIZE,
    Explained,
    RefusedError,
    failing_score,
)
from regard.testing.trace import require_no_trace

# What summing in another order, or in another batch, may change.
_TOLERANCE = 1e-3


def maps_one_per_image(explained: Explained) -> None:
    """It returns one finite map an image, no larger than the image, on the grid that it names."""
    maps = explained.run()
    values, grid = maps.values, maps.grid
    explained.require(
        values.ndim == 3 and values.shape[0] == 2,
        f"values are {tuple(values.shape)} for 2 images",
        "return (batch, row, col)",
    )
    explained.require(
        bool(torch.isfinite(values).all()),
        "values are not finite",
        "guard against empty sums and zero divisors",
    )
    rows, cols = values.shape[1:]
    explained.require(
        rows <= SIZE[0] and cols <= SIZE[1],
        f"a map of {rows}×{cols} for images of {SIZE[0]}×{SIZE[1]}",
        "return the map at the method's own resolution",
    )
    explained.require(
        grid is None or (grid.rows, grid.cols) == (rows, cols),
        "the grid is of another size than the map",
        "name the grid whose cells the map has",
    )
    explained.require(
        not values.requires_grad, "the map is still tied to its graph", "detach what you return"
    )


def numbers_as_named(explained: Explained) -> None:
    """A distribution is shares of at most 1; positive amounts are not negative."""
    maps = explained.run()
    lowest = float(maps.values.min())
    explained.require(
        maps.kind == "signed" or lowest >= -1e-6,
        f"the kind is {maps.kind!r} and the least value {lowest:.3g}",
        'name the kind "signed", or return no negative value',
    )
    if maps.kind == "distribution":
        largest = float(maps.values.sum((1, 2)).max())
        explained.require(
            largest <= 1 + 1e-4 and maps.keys is not None,
            f"a distribution sums to {largest:.4g} and names keys={maps.keys}",
            "return shares of 1, and the number of keys that uniform is counted by",
        )


def images_independent(explained: Explained) -> None:
    """The map of an image does not depend on what else is in the batch."""
    model, images = explained.model(), explained.images()
    together = explained.run(model, images).values
    alone = torch.cat([explained.run(model, image[None]).values for image in images])
    explained.require(
        _alike(together, alone),
        f"in a batch the maps differ by up to {float((together - alone).abs().max()):.3g}",
        "treat every image as if it were alone (means and maxima over the batch?)",
    )


def repeatable(explained: Explained) -> None:
    """The same call gives the same map."""
    model, images = explained.model(), explained.images()
    first, second = (explained.run(model, images).values for _ in range(2))
    explained.require(
        torch.equal(first, second),
        "two calls give different maps",
        "draw random numbers from a generator of your own that takes a seed",
    )


def follows_the_target(explained: Explained) -> None:
    """A class-specific map changes with the class; any other does not."""
    model, images = explained.model(), explained.images(1)
    maps = [
        explained.run(model, images, explained.score(model, images, target)).values
        for target in range(CLASSES)
    ]
    same = all(torch.equal(maps[0], other) for other in maps[1:])
    if explained.entry.class_specific:
        explained.require(
            not same,
            f"the map is the same for all {CLASSES} classes",
            "use the score, or register with class_specific=False",
        )
    else:
        explained.require(
            same, "the map changes with the class", "register with class_specific=True"
        )


def follows_the_image(explained: Explained) -> None:
    """The maps of two images differ."""
    first, second = explained.run().values
    explained.require(
        not torch.equal(first, second), "two images have the same map", "look at the images"
    )


def unknown_option(explained: Explained) -> None:
    """An option that it does not have is refused, not swallowed."""
    model, images = explained.model(), explained.images()
    try:
        explained.entry.method(
            model, images, explained.score(model, images), no_such_option=1, **explained.options
        )
    except (TypeError, InputError):
        return
    explained.fail("no_such_option=1 is accepted", "name every option; take no **options")


def leaves_no_trace(explained: Explained) -> None:
    """Flags, hooks, gradients, weights, images and random state are as before."""
    model, images = explained.model(), explained.images()
    require_no_trace(explained, model, {"images": images}, lambda: explained.run(model, images))


def leaves_no_trace_after_an_exception(explained: Explained) -> None:
    """The same holds where the target raises."""
    model, images = explained.model(), explained.images()

    def refused() -> None:
        try:
            explained.run(model, images, failing_score())
        except RefusedError:
            return
        if explained.entry.class_specific:
            explained.fail("an exception of the target was swallowed", "let it pass")

    require_no_trace(explained, model, {"images": images}, refused)


def frozen_parameters(explained: Explained) -> None:
    """It works on a model whose parameters need no gradient."""
    model, images = explained.model(), explained.images()
    free = explained.run(model, images).values
    frozen = explained.run(model.requires_grad_(False), images).values
    explained.require(
        _alike(free, frozen), "the map is another one", "do not rely on requires_grad"
    )


def _alike(first: Tensor, second: Tensor) -> bool:
    scale = float(second.abs().max().clamp(min=1e-6))
    return float((first - second).abs().max()) <= _TOLERANCE * scale


Check = Callable[[Explained], None]

CHECKS: tuple[Check, ...] = (
    maps_one_per_image,
    numbers_as_named,
    images_independent,
    repeatable,
    follows_the_target,
    follows_the_image,
    unknown_option,
    leaves_no_trace,
    leaves_no_trace_after_an_exception,
    frozen_parameters,
)
"""The names of the functions are the names of the checks."""


class ExplainerCheck(ContractCheck[Explainer, Explained]):
    """One check of one method, with every option set asked for; call it to run it."""

    def subjects(self, options: Mapping[str, Any]) -> Iterator[Explained]:
        """Yield the method with these options, on each model that it is for."""
        for kind in MODELS:
            if self.entry.family == "attention" and kind == "cnn":
                continue
            yield Explained(self.entry, {**self.entry.quick, **options}, self.name, kind)


def explainer_checks(
    method: str | Explainer, *, options: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, ExplainerCheck]]:
    """Return an iterator over (check name, callable), for each check of a method.

    Args:
        method: a registered name, or an entry.
        options: the options to check it with; default all of its `examples`.

    Raises:
        InputError: no such method.

    """
    return checks_of(methods, method, options, CHECKS, ExplainerCheck)


def check_explainer(method: str | Explainer, *, options: Mapping[str, Any] | None = None) -> None:
    """Check that a method keeps its contract; raise at the first check that it breaks.

    It is run on a small CNN and a small transformer with random weights on the CPU; a method of
    the family `attention` on the transformer only.

    Args:
        method: a registered name, or an entry.
        options: the options to check it with; default all of its `examples`.

    Raises:
        ContractViolation: the message names the method, the check, what was found and the fix.
        InputError: no such method.

    """
    for _name, check in explainer_checks(method, options=options):
        check()
