"""How the numbers and names of a study are written, alike in its figures, page and Markdown."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from regard.show.verdict_mark import Mark

Found = Mapping[str, Any]
"""A finished study as plain values: `study`, `variants` and `pictures`."""

Variant = Mapping[str, Any]
"""One of its variants: a network with one mechanism, with none, or a matched baseline."""

Difference = Mapping[str, Any]
"""The paired difference of a variant to another one: `n`, `mean`, `low`, `high`, …"""

Number = float | int | None
"""A number of JSON."""

NOTHING = "–"
"""What stands where there is no number."""

TOO_FEW = "too few seeds"

FINDINGS: dict[str, Mark] = {
    "gain": Mark("gain", "▲", "good"),
    "loss": Mark("loss", "▼", "bad"),
    "capacity": Mark("capacity", "◐", "fair"),
    "no difference": Mark("no difference", "=", "open"),
    "open": Mark("open", "?", "open"),
    TOO_FEW: Mark(TOO_FEW, "–", "open"),
}
"""What a variant's comparison can come to, and the shape and colour that repeat the word."""

AXES: dict[str, str] = {
    "parameters": "parameters",
    "flops": "FLOPs",
    "latency": "latency",
    "training_time": "training time",
}
"""What a variant costs, and how it is called; latency and time are ratios to the plain network."""


def finding_mark(finding: str | None) -> Mark | None:
    """Return what stands for a finding; None where there is none."""
    return None if finding is None else FINDINGS.get(finding, Mark(finding, "–", "open"))


def number(value: Number) -> float | None:
    """Return a number that can be written and drawn; None for what is missing or not finite."""
    return float(value) if value is not None and math.isfinite(value) else None


def percent(share: Number) -> str:
    """Return a fraction as a percentage."""
    share = number(share)
    return NOTHING if share is None else f"{_rounded(100 * share)} %"


def points(share: Number) -> str:
    """Return a difference of fractions in percentage points, with its sign."""
    share = number(share)
    return NOTHING if share is None else _signed(100 * share)


def interval(low: Number, high: Number, *, signed: bool = False) -> str:
    """Return the ends of an interval of fractions as `[2.10, 3.70]`; empty where there is none."""
    low, high = number(low), number(high)
    if low is None or high is None:
        return ""
    write = _rounded if not signed else _with_minus
    return f"[{write(100 * low)}, {write(100 * high)}]"


def difference(found: Difference | None) -> str:
    """Return a difference with its interval, in points."""
    if found is None or number(found["mean"]) is None:
        return NOTHING
    ends = interval(found["low"], found["high"], signed=True)
    return f"{points(found['mean'])} {ends}".rstrip()


def accuracy(summary: Mapping[str, Any] | None) -> str:
    """Return a mean with its interval, in per cent."""
    if summary is None or number(summary["mean"]) is None:
        return NOTHING
    return f"{percent(summary['mean'])} {interval(summary['low'], summary['high'])}".rstrip()


def probability(value: Number) -> str:
    """Return a p-value with three digits; one that is not 0 is never written as 0."""
    value = number(value)
    if value is None:
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3g}"


def margin(share: float) -> str:
    """Return a margin around nought in percentage points: ±0.2."""
    return f"±{100 * share:.4g}"


def plain_number(value: Number) -> str:
    """Return a number without a unit, such as an effect size."""
    value = number(value)
    return NOTHING if value is None else _with_minus(value)


def cost(axis: str, value: Number) -> str:
    """Return what a variant costs on one of `AXES`."""
    value = number(value)
    if value is None:
        return NOTHING
    if axis in ("latency", "training_time"):
        return f"{value:.2f}×"
    return f"{value:,.0f}" if axis == "parameters" else large(value)


def large(value: float | int) -> str:
    """Return a large number with three digits and a letter: 12.5 M."""
    for size, letter in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def names(variants: Sequence[Variant]) -> list[str]:
    """Return what each variant is called: with its network, where there are several."""
    several = len({variant["model"] for variant in variants}) > 1
    return [
        f"{variant['model']} · {variant['name']}" if several else variant["name"]
        for variant in variants
    ]


def role(variant: Variant, variants: Sequence[Variant]) -> str:
    """Return what a variant of a study is there for, in a few words."""
    if variant["role"] != "attention":
        return {"plain": "the plain network", "matched": "a matched baseline"}[variant["role"]]
    if variant["matched_by"] is None:
        return ""
    baseline = matched_of(variant, variants)
    return f"matched by {'the plain network' if baseline is None else baseline['name']}"


def plain_of(variant: Variant, variants: Sequence[Variant]) -> Variant | None:
    """Return the plain network that a variant is compared with."""
    for other in variants:
        if other["model"] == variant["model"] and other["role"] == "plain":
            return other
    return None


def matched_of(variant: Variant, variants: Sequence[Variant]) -> Variant | None:
    """Return the matched baseline of a variant; None where the plain network is, or there is none.

    A baseline of the variant's own role is none: a study may call a variant like another's.
    """
    for other in variants:
        if (
            other["model"] == variant["model"]
            and other["role"] == "matched"
            and other["name"] == variant["matched_by"]
        ):
            return other
    return None


def seed_differences(variant: Variant, other: Variant | None) -> list[float]:
    """Return the variant's value minus the other's, for the seeds that both have."""
    if other is None:
        return []
    theirs = dict(zip(other["seeds"], other["values"], strict=True))
    paired = [
        (number(value), number(theirs.get(seed)))
        for seed, value in zip(variant["seeds"], variant["values"], strict=True)
    ]
    return [mine - its for mine, its in paired if mine is not None and its is not None]


def _signed(value: float) -> str:
    text = _rounded(abs(value))
    if float(text) == 0:
        return text
    return ("+" if value > 0 else "−") + text


def _with_minus(value: float) -> str:
    return _signed(value).removeprefix("+")


def _rounded(value: float) -> str:
    return f"{value:.2f}"
