"""A finished study as Markdown, to be pasted where GitHub shows it; its figures lie beside it."""

import re
from collections.abc import Sequence

from regard.show.study_curves import caption
from regard.show.study_page import (
    ABOUT_BOOTSTRAP,
    about,
    described,
    sentences,
    statistics,
    statistics_columns,
)
from regard.show.study_words import (
    AXES,
    Difference,
    Found,
    Variant,
    accuracy,
    cost,
    difference,
    margin,
    names,
    probability,
    role,
)
from regard.show.verdict_mark import Mark

FIGURES = {"forest": "forest.svg", "curves": "curves.svg", "pareto": "pareto.svg"}
"""The files beside the text that it shows."""


def markdown(found: Found) -> str:
    """Return the study's sentences, tables, figures, command and versions as Markdown."""
    study = found["study"]
    metric = study["metric"]
    parts = [
        f"## {literal(study['name'])}",
        literal(about(found)),
        _list([_sentence(mark, said) for mark, said in sentences(found)])
        or "Nothing can be said: no variant was compared with another.",
        *(f"> **Note:** {literal(note)}" for note in study["notes"] or ()),
        f"![Differences of the variants, with 95 % intervals]({FIGURES['forest']})",
        _table(
            _columns(metric), [_line(name, one, found["variants"]) for name, one in _named(found)]
        ),
        "Mean and 95 % interval (Student) over the seeds, differences paired by seed, in "
        "percentage points; p by exact sign-flip permutation, corrected after Holm. Bold costs "
        "are on the front: no other variant is better and cheaper.",
        _all_statistics(found),
        f"![Learning curves: {literal(caption(found))}]({FIGURES['curves']})",
        f"![{literal(metric)} against parameters, FLOPs, latency and training time]"
        f"({FIGURES['pareto']})",
        *(["The pictures of attention are in `report.html`."] if found["pictures"] else []),
        _fenced(study["command"]),
        _list(_made(found)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def literal(words: str) -> str:
    r"""Return words so that Markdown shows them as they are: `a|b` becomes `a\|b`.

    An underscore within a word, and brackets that no address follows, are what they are anyhow.
    """
    line = " ".join(str(words).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*|~$])", r"\\\1", line)
    line = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", line)
    return re.sub(r"\](?=[(\[:])", r"\\]", line)


def _sentence(mark: Mark | None, said: str) -> str:
    return f"**{literal(mark.word)}:** {literal(said)}" if mark else literal(said)


def _named(found: Found) -> list[tuple[str, Variant]]:
    return list(zip(names(found["variants"]), found["variants"], strict=True))


def _columns(metric: str) -> list[str]:
    return ["variant", metric, "over plain", "p", "over matched", "p", *AXES.values(), "n"]


def _line(name: str, variant: Variant, variants: Sequence[Variant]) -> list[str]:
    front = variant["on_front"] or {}
    said = role(variant, variants)
    costs = [(axis, cost(axis, variant[axis])) for axis in AXES]
    return [
        literal(f"{name} ({said})" if said else name),
        accuracy(variant["summary"]),
        *_compared(variant["against_plain"]),
        *_compared(variant["against_matched"]),
        *(f"**{text}**" if front.get(axis) else text for axis, text in costs),
        _runs(variant),
    ]


def _runs(variant: Variant) -> str:
    lost = len(variant["diverged"])
    return f"{variant['summary']['n']}" + (f" ({lost} diverged)" if lost else "")


def _compared(found: Difference | None) -> tuple[str, str]:
    return difference(found), literal(probability(found["p_corrected"] if found else None))


def _all_statistics(found: Found) -> str:
    rows = statistics(found)
    if not rows:
        return ""
    table = _table(
        statistics_columns(found["study"]), [[literal(value) for value in row] for row in rows]
    )
    about = ABOUT_BOOTSTRAP.format(found["study"]["bootstrap_from"])
    return f"<details><summary>All statistics</summary>\n\n{table}\n\n{about}\n\n</details>"


def _made(found: Found) -> list[str]:
    """Return how the study was made, one line a fact."""
    study = found["study"]
    versions = ", ".join(f"{name} {value}" for name, value in described(study["versions"] or {}))
    recipe = ", ".join(f"{name} {value}" for name, value in described(study["recipe"] or {}))
    read = f"read once, on {study['test_read']}" if study["test_read"] else "not read"
    images = f"; {study['test_images']:,} images" if study["test_images"] else ""
    facts = {
        "seeds": ", ".join(map(str, study["seeds"])),
        "hardware": study["hardware"],
        "versions": versions,
        "date": study["date"],
        "test split": read + images,
        "no difference": f"what lies within {margin(study['margin'])} points",
        "recipe": recipe,
    }
    return [f"{name}: {literal(value)}" for name, value in facts.items() if value]


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is left-aligned; cells must be Markdown already."""
    head = [literal(column) for column in columns]
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _fenced(command: str) -> str:
    """Return a command as a block, fenced by more backticks than it has in a row itself."""
    longest = max((len(run) for run in re.findall(r"`+", command)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{command}\n{fence}"
