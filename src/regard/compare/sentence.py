"""What a study found about a variant, in one word and in one sentence.

The word is said by rules that are fixed before results are seen; the first that holds is taken:

- **too few seeds**: with so few, the exact test could not reach the level after correction, however
  large the difference. Nothing is claimed, and nothing ranked.
- **gain**: significantly above the plain network, and above the matched baseline too, where there
  is one. Where the plain network is itself the match, or none was asked for, the first is enough.
- **capacity**: significantly above the plain network, but the matched baseline gains as much: it is
  significantly above the variant; or the variant's lead over it is surely (the whole 95 % interval)
  both within the margin and smaller than the gain. That the lead is not significant is not enough:
  absence of evidence is not evidence of absence.
- **loss**: significantly below the plain network.
- **no difference**: neither, and equivalent to the plain network within the margin.
- **open**: anything else; among it a gain of which it is not known whether it is capacity.

**A run that diverged counts against its side.** It has no accuracy and is in no mean, so that the
runs that are left flatter a variant that lost some. What favours a side that lost runs is therefore
not said, and `open` given in its place: gain, capacity and no difference where the variant did;
loss and no difference where the plain network did; capacity where the matched baseline did.

A gain asks for two significant differences at once, so that the two comparisons need no correction
for there being two (the intersection-union test of Berger 1982).
"""

from dataclasses import dataclass
from typing import Literal

from regard.compare.significance import seeds_to_reach
from regard.compare.statistics import RULES, Difference, Rules, Summary

Kind = Literal["gain", "loss", "capacity", "no difference", "open", "too few seeds"]
# What carries the same parameters or FLOPs as the variant: a network of its own, the plain one
# (the variant adds next to nothing), none that was asked for; or it is itself what carries them.
Match = Literal["baseline", "plain", "none", "itself"]


@dataclass(frozen=True)
class Lost:
    """How many of a variant's runs diverged.

    Attributes:
        runs: that diverged.
        of: all that are finished, with those.

    """

    runs: int = 0
    of: int = 0

    def __bool__(self) -> bool:
        """Return whether any did."""
        return self.runs > 0


NONE_LOST = Lost()


@dataclass(frozen=True)
class Comparison:
    """A variant against one baseline, among the comparisons that it is corrected with.

    Attributes:
        difference: with its corrected p-value; None where both have no seed in common.
        family: how many comparisons are corrected together.
        smallest: the smallest corrected p-value that the test could have given.
        lost: of the variant's runs.
        baseline_lost: of the baseline's.

    """

    difference: Difference | None
    family: int
    smallest: float
    lost: Lost = NONE_LOST
    baseline_lost: Lost = NONE_LOST

    def too_few(self, rules: Rules) -> bool:
        """Return whether no difference, however large, would be significant."""
        return self.difference is None or self.smallest > rules.level

    def direction(self, rules: Rules) -> int:
        """Return 1 for a significant gain, −1 for a significant loss, 0 for neither."""
        found = self.difference
        if found is None or found.p_corrected is None or found.p_corrected > rules.level:
            return 0
        return (found.mean > 0) - (found.mean < 0)


def kind_of(plain: Comparison, matched: Comparison | None, *, rules: Rules = RULES) -> Kind:
    """Return the finding of a variant.

    Args:
        plain: against the plain network.
        matched: against the matched baseline; None where there is none besides the plain network.
        rules: of the study.

    """
    kind = _before_losses(plain, matched, rules)
    return kind if _flattered(kind, plain, matched) is None else "open"


def _before_losses(plain: Comparison, matched: Comparison | None, rules: Rules) -> Kind:
    """Return the finding as if no run had diverged."""
    if plain.difference is None or plain.too_few(rules):
        return "too few seeds"
    direction = plain.direction(rules)
    if direction == 0:
        return "no difference" if plain.difference.equivalent else "open"
    if direction < 0:
        return "loss"
    if matched is None or matched.direction(rules) > 0:
        return "gain"
    return "capacity" if _explained(plain.difference, matched, rules) else "open"


def _flattered(kind: Kind, plain: Comparison, matched: Comparison | None) -> str | None:
    """Return whom a finding favours though it lost runs; None where there is nobody."""
    if kind in ("gain", "capacity", "no difference") and plain.lost:
        return "it"
    if kind in ("loss", "no difference") and plain.baseline_lost:
        return "the plain network"
    if kind == "capacity" and matched is not None and matched.baseline_lost:
        return "the matched one"
    return None


def _explained(gain: Difference, matched: Comparison, rules: Rules) -> bool:
    lead = matched.difference
    if lead is None or matched.too_few(rules):
        return False
    if matched.direction(rules) < 0:
        return True
    return lead.high is not None and lead.high <= rules.margin and lead.high < gain.mean


def sentence(
    name: str,
    plain: Comparison,
    matched: Comparison | None = None,
    *,
    match: Match = "none",
    rules: Rules = RULES,
) -> str:
    """Return the finding of a variant as a sentence with its figures.

    Args:
        name: of the variant.
        plain: against the plain network.
        matched: against the matched baseline; None unless it has one of its own.
        match: what its matched baseline is.
        rules: of the study.

    """
    found = plain.difference
    if found is None:
        apart = "no seed in common with the plain network"
        return f"{name}: {apart}{_lost(plain, matched)}: {_too_few(plain, rules)}."
    kind = kind_of(plain, matched, rules=rules)
    words = [f"{name}: {_over('the plain network', found)}, {_seeds(found.n)}"]
    if kind != "too few seeds":
        words.append(f", {_chance(plain, found, rules)}")
    if matched is not None:
        words.append(f"; {_beside(found, matched, rules)}")
    elif match == "plain":
        words.append("; it adds next to nothing, so that the plain network is its match")
    words.append(_lost(plain, matched))
    return f"{''.join(words)}: {_conclusion(kind, plain, matched, match, rules)}."


def plain_sentence(name: str, found: Summary, lost: Lost = NONE_LOST) -> str:
    """Return what the plain network reaches, as a sentence."""
    said = f"; {lost.runs} of {lost.of} runs diverged" if lost else ""
    if found.mean is None:
        return f"{name}, the plain network: no finished run{said}."
    interval = ""
    if found.low is not None and found.high is not None:
        interval = f" [{100 * found.low:.2f}, {100 * found.high:.2f}]"
    return (
        f"{name}, the plain network: {100 * found.mean:.2f} %{interval}, {_seeds(found.n)}{said}."
    )


def _lost(plain: Comparison, matched: Comparison | None) -> str:
    """`; 1 of 10 runs diverged (of the plain network's 2 of 10)`."""
    others = [("plain network", plain.baseline_lost)]
    if matched is not None:
        others.append(("matched one", matched.baseline_lost))
    theirs = [f"of the {name}'s {lost.runs} of {lost.of}" for name, lost in others if lost]
    if not plain.lost and not theirs:
        return ""
    said = f"; {plain.lost.runs} of {plain.lost.of} runs diverged"
    return f"{said} ({', '.join(theirs)})" if theirs else said


def _over(baseline: str, found: Difference, unit: str = " points") -> str:
    """`+0.21 points [0.05, 0.37] over the plain network`."""
    interval = ""
    if found.low is not None and found.high is not None:
        interval = f" [{_points(found.low)}, {_points(found.high)}]"
    mean = _points(found.mean)
    sign, relation = ("", "against") if mean.startswith("−") else ("+", "over")
    return f"{sign if mean != '0.00' else ''}{mean}{unit}{interval} {relation} {baseline}"


def _beside(plain: Difference, matched: Comparison, rules: Rules) -> str:
    found = matched.difference
    if found is None:
        return "no seed in common with the matched one"
    said = _over("the matched one", found, unit="")
    if found.n != plain.n:
        said += f", {_seeds(found.n)}"
    # Said where it decides: a lead that is not significant is judged by its interval.
    return f"{said}, {_chance(matched, found, rules)}" if matched.direction(rules) else said


def _chance(comparison: Comparison, found: Difference, rules: Rules) -> str:
    p = found.p if found.p_corrected is None else found.p_corrected
    after = " after correction" if comparison.family > 1 else ""
    return f"p {_probability(p, rules.level)}{after}"


def _conclusion(
    kind: Kind, plain: Comparison, matched: Comparison | None, match: Match, rules: Rules
) -> str:
    found = plain.difference
    if found is None or kind == "too few seeds":
        return _too_few(plain, rules)
    would_be = _before_losses(plain, matched, rules)
    if would_be == "open" and plain.direction(rules) > 0:
        would_be = "gain"
    flattered = _flattered(would_be, plain, matched)
    if flattered is not None:
        claim = f"no {would_be} is claimed" if would_be in ("gain", "loss") else "open"
        return f"{claim}, because the runs that are left flatter {flattered}"
    margin = _points(rules.margin)
    small = f", smaller than {margin} points" if found.equivalent else ""
    if kind == "gain":
        which = {
            "baseline": "a gain beyond capacity",
            "plain": "a gain",
            "none": "a gain, which may be capacity: no matched baseline was trained",
            "itself": "a gain by capacity alone",
        }[match]
        return which.replace("a gain", f"a gain{small}", 1)
    if kind == "capacity":
        behind = matched is not None and matched.direction(rules) < 0
        return "the gain is capacity" + (", and the matched one gains more" if behind else "")
    if kind == "loss":
        return f"a loss{small}"
    if kind == "no difference":
        return f"no difference beyond ±{margin} points"
    if plain.direction(rules) > 0:
        return f"a gain{small}; whether it is capacity is open"
    return "open" + _wanted(found, rules)


def _too_few(plain: Comparison, rules: Rules) -> str:
    needed = seeds_to_reach(plain.family, level=rules.level)
    several = f" with {plain.family} variants compared" if plain.family > 1 else ""
    return f"too few seeds for a finding, which takes at least {needed}{several}"


def _wanted(found: Difference, rules: Rules) -> str:
    """How many seeds would tell, where the spread asks for more than there are."""
    needed, low, high = found.seeds_needed, found.seeds_needed_low, found.seeds_needed_high
    if needed is None or low is None or high is None or needed <= found.n:
        return ""
    return (
        f"; to see {_points(rules.effect)} points in one variant alone takes "
        f"about {needed:,} seeds ({low:,} to {high:,})"
    )


def _seeds(count: int) -> str:
    return f"n = {count} seed" + ("" if count == 1 else "s")


def _points(fraction: float) -> str:
    text = f"{100 * abs(fraction):.2f}"
    return text if fraction >= 0 or text == "0.00" else f"−{text}"


def _probability(p: float, level: float) -> str:
    """`= 0.02`, with as many decimals as show on which side of the level it lies."""
    if p < 0.001 <= level:
        return "< 0.001"
    decimals = 3 if p < 0.01 else 2
    while p != level and (round(p, decimals) - level) * (p - level) <= 0:
        decimals += 1
    return f"= {p:.{decimals}f}"
