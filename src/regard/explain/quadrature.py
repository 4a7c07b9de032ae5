"""The integral of a derivative over [0, 1], when the integral of its own sum is known.

Along a path from a to b the gradient's sum over pixels integrates to f(b) - f(a), whatever the
model. So every part of the path tells its own error, and samples are added where it is large.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.interpolate import make_interp_spline

Numbers = Float[np.ndarray, " node"]

# A line from sample to sample is best where the gradient jumps, as with ReLU; a cubic where it is
# smooth, as with GELU. Splines of both are linear in the samples: they give weights.
_DEGREES = (1, 3)

# Parts that are halved in one go hold this share of the squared error.
_SHARE = 0.5

NARROWEST = 2.0**-16
"""Parts are not halved below this width: where the function jumps, no number of samples helps."""

# A change of the score that is a small share of its span on the path is measured by the span, as
# large parts for and against that cancel cannot be integrated to a share of next to nothing ...
_OF_SPAN = 0.1
# ... and one as small as the score's rounding is no measure at all.
_ROUNDINGS = 1000


@dataclass(frozen=True, eq=False)
class Samples:
    """A function on [0, 1] and its derivative, where they have been looked at.

    Attributes:
        at: positions, growing from 0 to 1.
        values: the function.
        slopes: its derivative.

    """

    at: Numbers
    values: Numbers
    slopes: Numbers

    def change(self, precision: float) -> float:
        """Return what errors are shares of: the function's change, or the floor beneath it.

        Args:
            precision: the relative rounding of the values.

        """
        rounding = _ROUNDINGS * precision * float(np.abs(self.values).max())
        whole = abs(float(self.values[-1] - self.values[0]))
        return max(whole, _OF_SPAN * float(np.ptp(self.values)), rounding)


@dataclass(frozen=True, eq=False)
class Rule:
    """Weights of the samples, and what is known of their error.

    Attributes:
        weights: of the samples; they sum to 1.
        missing: of each part between two samples, by how much its integral misses the function's
            change there.

    """

    weights: Numbers
    missing: Float[np.ndarray, " part"]

    @property
    def error(self) -> float:
        """How far the integral is off."""
        return abs(float(self.missing.sum()))

    @property
    def cautious_error(self) -> float:
        """How far it is off, without luck: what parts with chance signs would add up to, at least.

        A few samples hit the function's change by chance now and then; that they hit it in
        every part does not happen.
        """
        return max(self.error, float(np.sqrt((self.missing**2).sum())))


def best_rule(samples: Samples) -> Rule:
    """Return the spline's rule, linear or cubic, that misses the least."""
    return min(
        (_spline_rule(samples, degree) for degree in _DEGREES if degree < len(samples.at)),
        key=lambda rule: rule.cautious_error,
    )


def _spline_rule(samples: Samples, degree: int) -> Rule:
    """Return the weights that integrate the spline through the samples."""
    unit = np.eye(len(samples.at))
    integral = make_interp_spline(samples.at, unit, k=degree).antiderivative()(samples.at)
    parts = np.diff(integral, axis=0)
    return Rule(parts.sum(0), np.diff(samples.values) - parts @ samples.slopes)


def midpoints(samples: Samples, rule: Rule, allowed: float, most: int) -> list[float]:
    """Return where to look next: the middles of the parts that miss the most.

    There are none where all that is missing is in parts too narrow to be halved.

    Args:
        samples: so far.
        rule: of them.
        allowed: how much may be missing.
        most: how many at most.

    """
    wide = np.diff(samples.at) > NARROWEST
    missing = np.where(wide, rule.missing, 0.0)
    if not wide.all() and Rule(rule.weights, missing).cautious_error <= allowed:
        return []
    squares = missing**2
    worst = np.argsort(-squares, kind="stable")
    needed = int(np.searchsorted(np.cumsum(squares[worst]), _SHARE * squares.sum())) + 1
    middles = (samples.at[:-1] + samples.at[1:]) / 2
    return sorted(middles[[part for part in worst[: min(needed, most)] if squares[part]]].tolist())
