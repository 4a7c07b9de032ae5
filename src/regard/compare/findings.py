"""From the values of finished runs to what a study found: plain values, ready for JSON.

Comparisons are within one network and paired by seed. Holm's correction runs over all attention
variants of the study, whatever their network: whoever reads the table looks for the best of them
all, and that is what the correction has to pay for. Variants without a finished run count, too, so
that a result does not lose its significance as the study fills up. There are three families, each
corrected alone: attention against the plain network, attention against its matched baseline, and
matched baselines against the plain network. These last are controls, not candidates; they would
make it harder for every candidate, the more carefully it is controlled.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from regard.compare.sentence import Comparison, Lost, Match, kind_of, plain_sentence, sentence
from regard.compare.statistics import (
    RULES,
    Rules,
    difference,
    holm,
    pareto_front,
    smallest_p,
    summary,
)
from regard.core.errors import InputError

Role = Literal["plain", "attention", "matched"]

COSTS = ("parameters", "flops", "latency", "training_time")


@dataclass(frozen=True)
class Measured:
    """A variant of one network, with the values of its finished runs.

    Attributes:
        model: name of the network.
        name: of the variant, unique within the network.
        attention: the mechanism in it, `none` without.
        role: `plain`, `attention` or `matched` (a baseline with the same parameters or FLOPs).
        matched_by: name of the variant that is its matched baseline, which may be the plain
            network; None where there is none.
        parameters: how many.
        flops: of one image.
        latency: as a ratio to the plain network; None if not measured.
        training_time: as a ratio to the plain network; None if not measured.
        values: seed → accuracy, as a fraction.
        diverged: the seeds of the runs that diverged, which have no value.
        curves: of each seed, passed through.

    """

    model: str
    name: str
    attention: str
    role: Role
    matched_by: str | None = None
    parameters: int | None = None
    flops: float | int | None = None
    latency: float | int | None = None
    training_time: float | int | None = None
    values: Mapping[int, float] = field(default_factory=dict)
    diverged: Sequence[int] = ()
    curves: Sequence[Any] = ()

    def __post_init__(self) -> None:
        if self.role not in ("plain", "attention", "matched"):
            raise InputError(
                f"{self.name!r} has the role {self.role!r}; choose plain, attention or matched"
            )
        if self.matched_by is not None and self.role != "attention":
            raise InputError(
                f"{self.name!r} is {self.role} and has the matched baseline {self.matched_by!r}; "
                "only attention has one"
            )
        both = sorted(self.values.keys() & set(self.diverged))
        if both:
            raise InputError(f"{self.name!r} at seed {both[0]} has a value and diverged; give one")
        for seed, value in self.values.items():
            if not (math.isfinite(value) and 0 <= value <= 1):
                raise InputError(
                    f"the accuracy of {self.name!r} at seed {seed} is {value}; "
                    "give a fraction from 0 to 1"
                )

    @property
    def lost(self) -> Lost:
        """How many of its runs diverged."""
        return Lost(len(self.diverged), len(self.values) + len(self.diverged))


def findings(
    measured: Sequence[Measured], *, rules: Rules = RULES, seed: int = 0
) -> list[dict[str, Any]]:
    """Return what is known of each variant, in the order given.

    A variant is compared by the seeds that its baseline has, too.

    Args:
        measured: the variants, with exactly one plain one for each network.
        rules: level, margin and effect.
        seed: of what is drawn (bootstrap; signs beyond 16 seeds).

    """
    plain_ones, variants = _arranged(measured)
    baselines = {key: _baseline(variant, variants) for key, variant in variants.items()}
    against_plain: dict[Key, Comparison] = {}
    for role in ("attention", "matched"):
        pairs = [(v, plain_ones[v.model]) for v in measured if v.role == role]
        against_plain |= _compared(pairs, rules, seed)
    pairs = [
        (v, other)
        for v in measured
        if (other := baselines[v.model, v.name]) is not None and other.role == "matched"
    ]
    against_matched = _compared(pairs, rules, seed)
    fronts = _fronts(measured)
    return [
        _plain_values(
            variant,
            against_plain.get((variant.model, variant.name)),
            against_matched.get((variant.model, variant.name)),
            _match(variant, baselines[variant.model, variant.name]),
            rules,
        )
        | {"on_front": fronts[variant.model, variant.name], "curves": list(variant.curves)}
        for variant in measured
    ]


Key = tuple[str, str]


def _arranged(measured: Sequence[Measured]) -> tuple[dict[str, Measured], dict[Key, Measured]]:
    """Return the plain variant of each network, and every variant by network and name."""
    plain_ones: dict[str, Measured] = {}
    variants: dict[Key, Measured] = {}
    for variant in measured:
        key = (variant.model, variant.name)
        if key in variants:
            raise InputError(f"{variant.model} has two variants named {variant.name!r}; rename one")
        variants[key] = variant
        if variant.role == "plain":
            if (other := plain_ones.get(variant.model)) is not None:
                raise InputError(
                    f"{variant.model} has two plain variants, {other.name!r} and "
                    f"{variant.name!r}; give one"
                )
            plain_ones[variant.model] = variant
    for model in {variant.model for variant in measured} - set(plain_ones):
        raise InputError(f"{model} has no plain variant to compare with; add attention none")
    return plain_ones, variants


def _baseline(variant: Measured, variants: Mapping[Key, Measured]) -> Measured | None:
    if variant.matched_by is None:
        return None
    other = variants.get((variant.model, variant.matched_by))
    if other is None or other.role == "attention":
        raise InputError(
            f"the matched baseline {variant.matched_by!r} of {variant.name!r} is "
            f"{'not in the study' if other is None else 'itself attention'}; "
            f"name a matched or plain variant of {variant.model}"
        )
    return other


def _match(variant: Measured, baseline: Measured | None) -> Match:
    if variant.role == "matched":
        return "itself"
    if baseline is None:
        return "none"
    return "plain" if baseline.role == "plain" else "baseline"


def _compared(
    pairs: Sequence[tuple[Measured, Measured]], rules: Rules, seed: int
) -> dict[Key, Comparison]:
    """Return one family of comparisons, corrected together; each variant with its baseline."""
    found = []
    for ours, theirs in pairs:
        common = sorted(ours.values.keys() & theirs.values.keys())
        values = [[side.values[it] for it in common] for side in (ours, theirs)]
        found.append(difference(*values, rules=rules, seed=seed) if common else None)
    if not found:
        return {}
    # What has no run yet counts as one that shows nothing.
    corrected = holm(np.array([1.0 if it is None else it.p for it in found]))
    smallest = holm(np.array([smallest_p(0 if it is None else it.n) for it in found]))
    return {
        (ours.model, ours.name): Comparison(
            None if it is None else replace(it, p_corrected=float(p)),
            len(pairs),
            float(least),
            ours.lost,
            theirs.lost,
        )
        for (ours, theirs), it, p, least in zip(pairs, found, corrected, smallest, strict=True)
    }


def _fronts(measured: Sequence[Measured]) -> dict[Key, dict[str, bool | None]]:
    """Return of each variant on which Pareto fronts of its network it lies.

    Latency and training time are ratios to a network's own plain variant, so that fronts across
    networks would compare what cannot be compared.
    """
    fronts: dict[Key, dict[str, bool | None]] = {(v.model, v.name): {} for v in measured}
    for model in {variant.model for variant in measured}:
        members = [variant for variant in measured if variant.model == model]
        means = [summary(list(variant.values.values())).mean for variant in members]
        for cost in COSTS:
            costs = [getattr(variant, cost) for variant in members]
            front = pareto_front(list(zip(means, costs, strict=True)))
            for variant, lies_on in zip(members, front, strict=True):
                fronts[model, variant.name][cost] = lies_on
    return fronts


def _plain_values(
    variant: Measured,
    plain: Comparison | None,
    matched: Comparison | None,
    match: Match,
    rules: Rules,
) -> dict[str, Any]:
    seeds = sorted(variant.values)
    values = [float(variant.values[seed]) for seed in seeds]
    over = summary(values)
    if plain is None:
        finding, said = None, plain_sentence(variant.name, over, variant.lost)
    else:
        finding = kind_of(plain, matched, rules=rules)
        said = sentence(variant.name, plain, matched, match=match, rules=rules)
    return {
        "model": variant.model,
        "name": variant.name,
        "attention": variant.attention,
        "role": variant.role,
        "matched_by": variant.matched_by,
        **{cost: getattr(variant, cost) for cost in COSTS},
        "seeds": seeds,
        "values": values,
        "diverged": sorted(variant.diverged),
        "summary": asdict(over),
        "against_plain": _difference_values(plain),
        "against_matched": _difference_values(matched),
        "finding": finding,
        "sentence": said,
    }


def _difference_values(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None or comparison.difference is None:
        return None
    return asdict(comparison.difference)
