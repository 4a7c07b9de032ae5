"""Structured light: patterns that tell, in what a token does, where on the input it lies.

As in 3-D scanning. Noise is added to the input whose strength follows a cosine along one axis, in
four phases a quarter period apart. How strongly a token moves then follows the same cosine at the
token's own place; the four measurements give its phase (four-step phase shifting, Srinivasan,
Liu and Halioua 1984), and patterns of 1/2, 1, 3 and 9 periods make it unambiguous and precise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

PERIODS = (0.5, 1.0, 3.0, 9.0)
"""Of the patterns, coarse to fine: the first half period is unambiguous over the whole input."""

PHASES = 4

# A token that moves with the whole input, as a class token does, follows no pattern.
_FAINTEST = 0.3
# Of the usual contrast: what has less follows the patterns worse than most tokens do.
_PLAINLY = 0.75
# Of the power with which the strongest token moves: what is below is rounding.
_STILL = 1e-4
# What varies less than this does so by rounding alone.
_CONSTANT = 1e-9


@runtime_checkable
class Light(Protocol):
    """What makes noise stronger in some places than in others."""

    def light(self, noise: Tensor) -> Tensor:
        """Return the noise, as strong in each place as it is bright there."""
        ...


@dataclass(frozen=True)
class Pattern:
    """One pattern: a cosine of `periods` periods along an axis, shifted by quarter periods.

    Attributes:
        axis: of the input.
        periods: over the whole length of the axis.
        quarter: 0 to 3 quarter periods of shift.

    """

    axis: int
    periods: float
    quarter: int

    def light(self, noise: Tensor) -> Tensor:
        """Return the noise, its power scaled by (1 + cos(2π · periods · u − shift)) / 2.

        u runs from 0 to 1 along the axis, at the middle of each element.
        """
        length = noise.shape[self.axis]
        u = (torch.arange(length, dtype=torch.float64) + 0.5) / length
        shape = [1] * noise.dim()
        shape[self.axis] = length
        return noise * self.strength(u).reshape(shape).to(noise)

    def strength(self, u: Float[Tensor, " place"]) -> Float[Tensor, " place"]:
        """Return what the noise is multiplied by at some places, in 0 … 1 along the axis."""
        angle = 2 * math.pi * self.periods * u - self.quarter * math.pi / 2
        return ((1 + torch.cos(angle)) / 2).clamp(min=0).sqrt()


def opposite_halves(axes: Sequence[int]) -> list[Pattern]:
    """Return two patterns an axis: light that fades along it, and light that grows."""
    return [Pattern(axis, 0.5, quarter) for axis in axes for quarter in (0, 2)]


def patterns(axes: Sequence[int]) -> list[Pattern]:
    """Return every pattern, axis by axis, coarse to fine, phase by phase."""
    return [Pattern(a, f, quarter) for a in axes for f in PERIODS for quarter in range(PHASES)]


@dataclass(frozen=True)
class Reading:
    """Where tokens lie, as read from how they moved.

    Attributes:
        position: (axis, group, token) in 0 … 1 along each axis.
        contrast: (group, token), how faithfully the token followed the pattern of one period
            along the axis where it did so least: 1 for a token that sees one place, near 0 for
            one that sees all.
        moves: (group, token), False for a token that hardly moved at all, as padding.

    """

    position: Float[np.ndarray, "axis group token"]
    contrast: Float[np.ndarray, "group token"]
    moves: Bool[np.ndarray, "group token"]

    @property
    def has_place(self) -> Bool[np.ndarray, "group token"]:
        """True for each token that must lie somewhere.

        Tokens that see all of the input come before the others or after them. One in their midst
        that follows the patterns badly only sees too much besides its own place.
        """
        follows = self._follows(max(_FAINTEST, self.usual / 2)).any(0)
        where = np.flatnonzero(follows)
        within = np.zeros_like(follows)
        if len(where):
            within[where[0] : where[-1] + 1] = True
        return within & self.moves

    @property
    def follows_plainly(self) -> Bool[np.ndarray, "group token"]:
        """True for each token that follows the patterns as well as most do, wherever it stands."""
        return self._follows(max(_FAINTEST, _PLAINLY * self.usual))

    @property
    def usual(self) -> float:
        """Median contrast of the tokens that move."""
        return float(np.median(self.contrast[self.moves])) if self.moves.any() else 0.0

    def _follows(self, least: float) -> Bool[np.ndarray, "group token"]:
        return (self.contrast >= least) & self.moves


def read(
    movement: Float[np.ndarray, "axis period quarter group token"], size: Sequence[int]
) -> Reading:
    """Read positions from the power with which tokens moved under each of `patterns`.

    Args:
        movement: mean square change of each token.
        size: length of the lit input along each axis.

    """
    lengths = np.reshape(size, (-1, 1, 1))
    cosine, sine = movement[:, :, 0] - movement[:, :, 2], movement[:, :, 1] - movement[:, :, 3]
    # Four phases sum to twice the mean power, whatever the phase.
    power = movement.sum(2) / 2
    contrast = np.hypot(cosine, sine) / np.where(power > 0, power, 1)
    turns = np.arctan2(sine, cosine) / (2 * np.pi) % 1
    first = turns[:, 0] / PERIODS[0]
    # Noise may carry the first element below 0, which reads as almost a whole turn.
    position = np.where(first > 0.75 / PERIODS[0], first - 1 / PERIODS[0], first)
    for finer, period in enumerate(PERIODS[1:], start=1):
        candidate = turns[:, finer] / period
        candidate = candidate + np.round((position - candidate) * period) / period
        # Cells as wide as a period average it away, and a period of less than three elements
        # may look like another one to them.
        sharp = (contrast[:, finer] >= _FAINTEST) & (period <= lengths / 3)
        position = np.where(sharp, candidate, position)
    strength = power.sum((0, 1))
    moves = strength > _STILL * strength.max()
    return Reading(position, contrast[:, PERIODS.index(1.0)].min(0), moves)


def likeness(
    movement: Float[np.ndarray, "axis half token"],
    position: Float[np.ndarray, "axis token"],
) -> float:
    """Return how well tokens moved under `opposite_halves` as they would at supposed places.

    Too coarse to find places, and enough to tell a right layout from a wrong one: the correlation
    with what is expected, along the axis where it is worst. Tokens in another order come out
    near 0, or below.

    Args:
        movement: mean square change of each token.
        position: where each token is supposed to be, in 0 … 1 along each axis.

    """
    sums = movement.sum(1)
    if (sums <= 0).any():
        return 0.0
    seen, expected = (movement[:, 0] - movement[:, 1]) / sums, np.cos(np.pi * position)
    if min(seen.std(1).min(), expected.std(1).min()) < _CONSTANT:
        return 0.0
    return min(float(np.corrcoef(s, e)[0, 1]) for s, e in zip(seen, expected, strict=True))
