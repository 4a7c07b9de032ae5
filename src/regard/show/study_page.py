"""A finished study as one HTML page: first what it says, then how that was found."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from regard.core.errors import InputError
from regard.show.explanation_figure import percent as likelihood
from regard.show.methods_table import Cell
from regard.show.self_contained import page
from regard.show.study_curves import caption, curves
from regard.show.study_forest import forest
from regard.show.study_pareto import pareto
from regard.show.study_words import (
    AXES,
    Difference,
    Found,
    Variant,
    accuracy,
    cost,
    difference,
    finding_mark,
    interval,
    margin,
    names,
    number,
    plain_number,
    points,
    probability,
    role,
)
from regard.show.verdict_mark import MARKS, NOT_CHECKED, Mark

STYLES = ("walk.css", "verdict.css", "methods_table.css", "study.css")
"""The style sheets of the viewer."""

COMPARISONS = {"against_plain": "over the plain network", "against_matched": "over the matched one"}
"""The differences that a variant has, and how they are called."""

ABOUT_BOOTSTRAP = (
    "The t interval decides. The bootstrap interval (studentised, widened towards the t interval) "
    "is a second opinion that may lean to one side; it is given from {} seeds on, and holds the "
    "truth in 94 to 97 % of simulated studies where it should in 95 %."
)
"""What is to be known of the bootstrap interval; pinned to the calibration by a test."""

_COLUMNS = (
    ("finding", ""),
    ("{metric}", "mean, 95 % interval"),
    ("over plain", "points, 95 % interval"),
    ("over matched", "points, 95 % interval"),
    ("parameters", ""),
    ("FLOPs", ""),
    ("latency", "over plain"),
    ("training time", "over plain"),
)

# A figure is shown at most so many times as large as it was drawn.
_LARGER = 1.2


def html(found: Found) -> str:
    """Return one self-contained page: nothing is fetched from any host.

    Without scripts everything is there; the tables are in the study's order.

    Args:
        found: the study.

    Raises:
        InputError: there is no variant, or a picture is not inside the study.

    """
    variants, study = found["variants"], found["study"]
    if not variants:
        raise InputError("there is no variant in the study to report on")
    called, pictures = names(variants), _pictures(found)
    return page(
        "study.html.j2",
        entry="methods_table.js",
        styles=STYLES,
        data=None,
        study=study,
        about=about(found),
        sentences=sentences(found),
        figures=[_figure(draw, found) for draw in (forest, curves, pareto)],
        curves_show=caption(found),
        columns=[(name.format(metric=study["metric"]), under) for name, under in _COLUMNS],
        lines=[_line(name, one, variants) for name, one in zip(called, variants, strict=True)],
        tests=statistics_columns(study),
        margin=margin(study["margin"]),
        effect=margin(study["effect"]),
        about_bootstrap=ABOUT_BOOTSTRAP.format(study["bootstrap_from"]),
        statistics=statistics(found),
        pictures=pictures,
        recipe=described(study["recipe"] or {}),
        versions=described(study["versions"] or {}),
    )


def about(found: Found) -> str:
    """Return in one sentence what was compared, on what, and how often."""
    study, variants = found["study"], found["variants"]
    seeds, networks = len(study["seeds"]), len({variant["model"] for variant in variants})
    matched = study["match"]
    return (
        f"{_counted(len(variants), 'variant')} of {_counted(networks, 'network')}, "
        f"{_counted(seeds, 'seed')}, {_counted(study['epochs'], 'epoch')} on {study['data']}; "
        + (f"baselines matched by {matched}." if matched not in (None, "none") else "no baselines.")
    )


def sentences(found: Found) -> list[tuple[Mark | None, str]]:
    """Return what the study says of each variant, in its order, with the mark of its finding."""
    return [
        (finding_mark(variant["finding"]), variant["sentence"])
        for variant in found["variants"]
        if variant["sentence"]
    ]


def statistics_columns(study: Mapping[str, Any]) -> list[str]:
    """Return what the columns of `statistics` hold."""
    return [
        *("variant", "compared", "n", "difference [95 %]", "bootstrap [95 %]", "effect size", "p"),
        *("p corrected", "p of the t test", "p of equivalence"),
        f"within {margin(study['margin'])}",
        f"seeds for {margin(study['effect'])}",
    ]


def statistics(found: Found) -> list[list[str]]:
    """Return all that was computed of each difference: one line a variant and comparison."""
    variants = found["variants"]
    return [
        [name, said, *_tests(variant[key], found["study"]["bootstrap_from"])]
        for name, variant in zip(names(variants), variants, strict=True)
        for key, said in COMPARISONS.items()
        if variant[key]
    ]


def described(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return settings as names and words."""
    return [
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in values.items()
    ]


def _tests(found: Difference, fewest: int) -> list[str]:
    equivalent = found["equivalent"]
    return [
        str(found["n"]),
        difference(found),
        _bootstrap(found, fewest),
        plain_number(found["effect_size"]),
        probability(found["p"]),
        probability(found["p_corrected"]),
        probability(found["p_t"]),
        probability(found["equivalence_p"]),
        "–" if equivalent is None else "yes" if equivalent else "no",
        _seeds_needed(found),
    ]


def _bootstrap(found: Difference, fewest: int) -> str:
    """Return the bootstrap interval, or why there is none."""
    ends = interval(found["bootstrap_low"], found["bootstrap_high"], signed=True)
    if ends:
        return ends
    return f"none below {fewest} seeds" if found["n"] < fewest else "none: most seeds are alike"


def _seeds_needed(found: Difference) -> str:
    """Return how many seeds a difference takes to be seen, with the ends of that guess."""
    if found["seeds_needed"] is None:
        return "–"
    low, high = found.get("seeds_needed_low"), found.get("seeds_needed_high")
    ends = "" if low is None or high is None else f" [{low:,}, {high:,}]"
    return f"{found['seeds_needed']:,}{ends}"


def _line(name: str, variant: Variant, variants: Sequence[Variant]) -> dict[str, Any]:
    """Return a variant's line of the table."""
    front = variant["on_front"] or {}
    return {
        "name": name,
        "role": role(variant, variants),
        "mark": finding_mark(variant["finding"]),
        "cells": [
            _summary(variant["summary"], len(variant["diverged"])),
            _difference(variant["against_plain"]),
            _difference(variant["against_matched"]),
            *(
                Cell(
                    number(variant[axis]),
                    cost(axis, variant[axis]),
                    ("on the front",) if front.get(axis) else (),
                )
                for axis in AXES
            ),
        ],
    }


def _summary(found: Mapping[str, Any], diverged: int) -> Cell:
    ends = interval(found["low"], found["high"])
    spread = number(found["sd"])
    under = [ends] if ends else []
    under.append(f"n = {found['n']}" + ("" if spread is None else f", sd {100 * spread:.2f}"))
    if diverged:
        under.append(f"{diverged} diverged")
    return Cell(number(found["mean"]), accuracy({**found, "low": None}), tuple(under))


def _difference(found: Difference | None) -> Cell:
    if found is None or number(found["mean"]) is None:
        return Cell()
    ends = interval(found["low"], found["high"], signed=True)
    under = [ends] if ends else [f"n = {found['n']}"]
    if found["p_corrected"] is not None:
        under.append(f"p {probability(found['p_corrected'])}, corrected")
    return Cell(found["mean"], points(found["mean"]), tuple(under))


def _figure(draw: Callable[..., str], found: Found) -> dict[str, Any]:
    """Return a figure for the template: for a wide screen and a narrow one."""
    wide = draw(found)
    return {
        "wide": _uri(wide),
        "narrow": _uri(draw(found, narrow=True)),
        "widest": round(_LARGER * _width(wide)),
    }


def _uri(drawn: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn.encode()).decode('ascii')}"


def _width(drawn: str) -> int:
    """Return how many pixels wide an SVG wants to be; it says so in points."""
    return round(float(drawn.split('width="', 1)[1].split("pt", 1)[0]) * 96 / 72)


def _pictures(found: Found) -> dict[str, Any]:
    """Return the grid of pictures: a row an image, a column a variant."""
    variants = found["variants"]
    called = {
        (variant["model"], variant["name"]): name
        for name, variant in zip(names(variants), variants, strict=True)
    }
    shown = {(one["model"], one["variant"]) for row in found["pictures"] for one in row["maps"]}
    columns = [key for key in called if key in shown]
    if len(columns) != len(shown):
        unknown = sorted(shown - set(columns))[0]
        raise InputError(f"there is a picture of {' · '.join(unknown)}, which is no variant")
    return {
        "columns": [called[key] for key in columns],
        "rows": [
            {
                "label": row["label"],
                "image": _inside(row["image"]),
                "cells": [_cell(row["maps"], key) for key in columns],
            }
            for row in found["pictures"]
        ],
    }


def _cell(maps: Sequence[Mapping[str, Any]], key: tuple[str, str]) -> dict[str, Any] | None:
    for one in maps:
        if (one["model"], one["variant"]) == key:
            level = one["level"] or NOT_CHECKED
            chance = number(one["probability"])
            return {
                **one,
                "picture": _inside(one["picture"]),
                "mark": MARKS.get(level, Mark(level, "–", "open")),
                "checked": level != NOT_CHECKED,
                "percent": "" if chance is None else likelihood(chance),
            }
    return None


def _inside(address: str) -> str:
    """Return a picture's address, which must hold the picture itself."""
    if not address.startswith("data:image/"):
        raise InputError(
            f"a picture of a study must be a data URI, so that nothing is fetched; "
            f"got {address[:60]!r}"
        )
    return address


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
