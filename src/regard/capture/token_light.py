"""Light on the tokens that a module inside the model is given, while the whole model runs.

Deep in a trained model every token sees much of the image, and hardly moves more for light on its
own place than for light elsewhere. Tokens of the layer before are near: what a token does is mostly
what the same token did one layer below. Where the layout of those is known, they are lit by it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from regard.capture.placing import positions
from regard.capture.replay import Replay, noise_like
from regard.capture.structured_light import Pattern
from regard.core.grid import Grid


@dataclass(frozen=True)
class TokenPattern:
    """A pattern over the places of tokens; those without a place stay dark.

    Attributes:
        pattern: its axis is 0 for rows and 1 for columns.
        grid: of one group.

    """

    pattern: Pattern
    grid: Grid

    def light(self, noise: Tensor) -> Tensor:
        """Return the noise (1, token, channel), as strong as the pattern is at each token."""
        where, position = positions(self.grid)
        strength = torch.zeros(self.grid.tokens, dtype=torch.float64)
        strength[where] = self.pattern.strength(torch.from_numpy(position[self.pattern.axis]))
        return noise * strength[:, None].to(noise)


@dataclass(frozen=True)
class LitTokens:
    """A call of the model, to be repeated with light on the tokens that a module is given.

    Attributes:
        replay: of the model.
        inner: the module; it runs once.
        tokens: what it is given without light, (1, token, channel).

    """

    replay: Replay
    inner: nn.Module
    tokens: Tensor

    @property
    def module(self) -> nn.Module:
        """The model."""
        return self.replay.module

    @property
    def number(self) -> int:
        """Which of the model's calls it is."""
        return self.replay.number

    @property
    def calls(self) -> int:
        """How many calls of the model there are."""
        return self.replay.calls

    def full_name(self, site: str) -> str:
        """Return a site's name in the user's model."""
        return self.replay.full_name(site)

    def noise(self, draw: int) -> Tensor:
        """Return the noise that patterns modulate, of one of several draws."""
        return noise_like(self.tokens, self.tokens.shape, draw)

    def run(self, change: Tensor | None = None) -> bool:
        """Call the model with `change` added to the tokens, always with the same randomness."""
        with _changed(self.inner, change):
            return self.replay.run()


def lit_tokens(replay: Replay, inner: nn.Module) -> LitTokens | None:
    """Run the model to see what tokens a module is given; None if none, or if it runs twice."""
    given: list[Tensor | None] = []

    def keep(_: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        leaves, _structure = pytree.tree_flatten((args, dict(kwargs)))
        lit = _first_tokens(leaves)
        given.append(None if lit is None else leaves[lit].clone())

    hook = inner.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        replay.run()
    finally:
        hook.remove()
    if len(given) != 1 or given[0] is None:
        return None
    return LitTokens(replay, inner, given[0])


@contextmanager
def _changed(inner: nn.Module, change: Tensor | None) -> Iterator[None]:
    """Add a change to the first tokens that a module is given, inside the block only."""

    def add(_: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        leaves, structure = pytree.tree_flatten((args, dict(kwargs)))
        lit = _first_tokens(leaves)
        if lit is not None:
            leaves[lit] = leaves[lit] + change
        return pytree.tree_unflatten(leaves, structure)

    if change is None:
        yield
        return
    hook = inner.register_forward_pre_hook(add, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def _first_tokens(leaves: list[Any]) -> int | None:
    for number, leaf in enumerate(leaves):
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            return number if leaf.dim() == 3 and leaf.shape[0] == 1 else None
    return None
