"""From numbers to a verdict: can this picture be believed?

The questions, in the order in which they are asked; the first answer that speaks against a map is
its verdict:

1. Does the map change when the model's layers are scrambled, the upper quarter and the upper half
   of them? If not, it `ignores the weights`.
2. Does the model's answer depend on places in the image at all, and is it sure of it? If not,
   nothing can be said of a map of places: `undecided`.
3. Does covering what the map marks cost more than covering the same map elsewhere? If it is no
   better than most of its displaced copies, it is `no better than chance`, or `weak` if it is
   better than most but not than nearly all of them.
4. Does the map change with the class? If not, it is `not class-specific`.
5. Is it another map than those that know nothing of the model: the centre, the edges? If not,
   `weak`: the place is right, and the model had no part in it.

What is left is `faithful`. The thresholds were set on scenes with planted truth and checked on
others (`benchmarks/check_calibration.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from regard.check.case import Case, at_size
from regard.check.controls import displaced, references
from regard.check.counted import counted
from regard.check.faithfulness_correlation import PARTS, Responses, responses
from regard.check.metric import Metric, metrics
from regard.check.similarity import rank_correlation
from regard.core.errors import InputError, unknown_name
from regard.core.verdict import Level, Measurement, Verdict

# Of the displaced copies, at most this share may be as good.
_FAITHFUL, _CHANCE = 0.04, 0.2
_ASKED = f"{1 - _FAITHFUL:.0%}".replace("%", " %")
# Above this rank correlation with the map of the scrambled model, weights play too small a part.
_SAME_WITHOUT_WEIGHTS = 0.65
# Of the layers, from the output down. With fewer, what follows the weights is still alike; with
# more, what ignores most of them is not.
_SCRAMBLED = (0.25, 0.5)
# Above this one with the map of another class, the class does.
_SAME_FOR_ANOTHER_CLASS = 0.9
# Above this one with a map that knows nothing of the model, it might as well not have been asked.
_SAME_AS_A_GUESS = 0.8
# Below this, what parts cost is not foretold by what other parts cost.
_REPEATABLE = 0.1
# Below this probability of its likeliest class, the model itself is unsure.
_SURE = 0.2
# What decides whether the place is right.
_PLACE = "faithfulness_correlation"
# So many controls, where they cost no forward pass and where each costs some.
_CHEAP, _DEAR = 399, 19


@dataclass(frozen=True, eq=False)
class Judged:
    """A map that is to be judged.

    Attributes:
        case: what it is measured against.
        values: the map on its own grid, (row, col).
        confidence: the probability of the model's likeliest class, or of the class that is
            explained in its place; None without classes.
        sure_of: of what that is the probability, in words.
        class_specific: False for methods whose map is the same for every class.
        notes: what cannot be checked and why, one sentence each.

    """

    case: Case
    values: Float[Tensor, "row col"]
    confidence: float | None = None
    sure_of: str = "its likeliest class"
    class_specific: bool = True
    notes: tuple[str, ...] = ()


_QUICK: Mapping[str, Mapping[str, Any]] = {
    _PLACE: {"parts": PARTS},
    "weight_randomisation": {"shares": _SCRAMBLED},
    "class_contrast": {},
}
_FULL: Mapping[str, Mapping[str, Any]] = {
    _PLACE: {"parts": 8 * PARTS},
    "weight_randomisation": {"shares": _SCRAMBLED, "draws": 3},
    "class_contrast": {},
    "deletion": {},
    "insertion": {},
    "comprehensiveness": {},
    "sufficiency": {},
    "saco": {},
    "infidelity": {},
    "noise_stability": {},
    "shift_stability": {},
    "gini": {},
    "effective_area": {},
    "pointing_game": {},
    "mass_inside": {},
    "iou_best": {},
}
_PLANS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {"quick": _QUICK, "full": _FULL}
_GUESSES = {"centre prior": "distance from the picture's centre", "edges": "picture's edges"}


def judge(judged: Judged, depth: str = "quick") -> Verdict:
    """Measure a map and say what follows.

    Args:
        judged: the map, and what it is measured against.
        depth: `quick` for what a picture needs; `full` for every metric that applies.

    Raises:
        InputError: no such depth.

    """
    if depth not in _PLANS:
        raise unknown_name("depth", depth, tuple(_PLANS))
    plan, case = _PLANS[depth], judged.case
    with counted(case.model) as passes:
        asked = ask(case, depth)
        measured, notes = _measured(judged, plan)
    level, reason = _conclusion(judged, measured, asked)
    return Verdict(
        level=level,
        reason=reason,
        measurements=tuple(measured.values()),
        depth=depth,
        forwards=passes.images,
        notes=(*judged.notes, *notes),
    )


def _measured(
    judged: Judged, plan: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Measurement], list[str]]:
    """Return what the metrics give, and why some could not be had."""
    measured: dict[str, Measurement] = {}
    notes: list[str] = []
    for name, options in plan.items():
        if not metrics[name].applies(judged.case):
            continue
        try:
            measured[name] = measure(judged, metrics[name], **options)
        except InputError as error:
            # Such as a model without parameters to scramble: the others still say something.
            if name == _PLACE:
                raise
            notes.append(f"{name} could not be measured: {error}")
    return measured, notes


def ask(case: Case, depth: str = "quick") -> Responses:
    """Return what a check asks the model whatever the map is; found once a case."""
    return responses(case, **_PLANS[depth][_PLACE])


def measure(judged: Judged, metric: Metric, **options: Any) -> Measurement:
    """Return what a metric gives for a map, for copies of it elsewhere, and for other maps.

    Args:
        judged: the map, and what it is measured against.
        metric: an entry of `metrics`.
        **options: of the metric.

    """
    case, values = judged.case, judged.values.detach().double().cpu()
    if not metric.place:
        (value,) = metric(case, at_size(values[None], case.size), **options).tolist()
        return Measurement.compared(metric.name, value, metric.better, ())
    copies = displaced(values, _CHEAP if metric.asks_once else _DEAR, case.seed)
    others = _guesses(case)
    maps = torch.cat(
        [at_size(torch.cat([values[None], copies]), case.size), torch.stack(list(others.values()))]
    )
    found = metric(case, maps, **options).tolist()
    end = 1 + len(copies)
    beside = dict(zip(others, found[end:], strict=True))
    return Measurement.compared(metric.name, found[0], metric.better, found[1:end], beside)


def _guesses(case: Case) -> dict[str, Float[Tensor, "height width"]]:
    """Return the maps that know nothing of the model, by name; made once a case."""
    return case.once("guesses", lambda: references(case.image[0], case.seed))


def _conclusion(
    judged: Judged, measured: Mapping[str, Measurement], asked: Responses
) -> tuple[Level, str]:
    """Return the level and its reason: the first question that speaks against the map."""
    questions = (
        _ignores_the_weights(measured),
        _undecided(judged, measured[_PLACE], asked),
        _by_chance(measured[_PLACE]),
        _same_for_every_class(judged, measured),
        _a_guess(judged),
    )
    for answer in questions:
        if answer is not None:
            return answer
    found = measured[_PLACE]
    return (
        "faithful",
        f"covering what it marks costs more than covering {_better_than(found)} of its "
        f"displaced copies (correlation {found.value:.2f}, p = {found.p_value:.3f})",
    )


Answer = tuple[Level, str] | None


def _ignores_the_weights(measured: Mapping[str, Measurement]) -> Answer:
    found = measured.get("weight_randomisation")
    if found is None or found.value <= _SAME_WITHOUT_WEIGHTS:
        return None
    return (
        "ignores the weights",
        f"with the upper quarter and half of the layers scrambled the map is much the same "
        f"(rank correlation {found.value:.2f})",
    )


def _undecided(judged: Judged, found: Measurement, asked: Responses) -> Answer:
    sure = judged.confidence
    if sure is not None and sure < _SURE:
        return (
            "undecided",
            f"the model itself is unsure: it gives {judged.sure_of} {sure:.0%}",
        )
    # A map that foretells what the parts cost shows by itself that places matter.
    shown = found.p_value is not None and found.p_value <= _FAITHFUL
    if not shown and asked.repeatability() < _REPEATABLE:
        return (
            "undecided",
            "the model's answer does not depend on places in this image in a way that "
            f"{len(asked.falls)} covered copies could show",
        )
    return None


def _by_chance(found: Measurement) -> Answer:
    if found.p_value is None:
        return "no better than chance", "the map says the same of every place"
    if found.p_value <= _FAITHFUL:
        return None
    share = _better_than(found)
    if found.p_value <= _CHANCE:
        return (
            "weak",
            f"it is better than {share} of its displaced copies, and {_ASKED} are asked for",
        )
    return (
        "no better than chance",
        f"covering what it marks costs no more than elsewhere: it is better than {share} of its "
        "displaced copies",
    )


def _same_for_every_class(judged: Judged, measured: Mapping[str, Measurement]) -> Answer:
    placed = bool(judged.case.score.places)
    if (placed or judged.case.other is not None) and not judged.class_specific:
        what = "box and region" if placed else "class"
        return "not class-specific", f"the method gives the same map for every {what}"
    found = measured.get("class_contrast")
    if found is None or found.value <= _SAME_FOR_ANOTHER_CLASS:
        return None
    other = judged.case.other.names[0] if judged.case.other else "another class"
    return (
        "not class-specific",
        f"the map for {other} is the same (rank correlation {found.value:.2f})",
    )


def _a_guess(judged: Judged) -> Answer:
    case = judged.case
    guesses = _guesses(case)
    (values,) = at_size(judged.values[None], case.size)
    for name, said in _GUESSES.items():
        alike = float(rank_correlation(guesses[name][None], values)[0])
        if alike > _SAME_AS_A_GUESS:
            return (
                "weak",
                f"the place is right, but the map is much like the {said}, of which the model "
                f"knows nothing (rank correlation {alike:.2f})",
            )
    return None


def _better_than(found: Measurement) -> str:
    return f"{100 * (1 - (found.p_value or 1.0)):.3g} %"
