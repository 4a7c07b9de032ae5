"""From a study's rows to what came out of it, as plain values."""

import statistics
from collections.abc import Iterable
from typing import Any

from regard.compare.agreement import day, late
from regard.compare.findings import Measured, findings
from regard.compare.intervals import FEWEST
from regard.compare.statistics import Rules
from regard.compare.store import Store
from regard.compare.study import Study, Variant
from regard.compare.task import METRICS
from regard.compare.trial import Trial, final_trials
from regard.core.errors import InputError

Row = dict[str, Any]


def result(store: Store) -> dict[str, Any]:
    """Return what a finished study came to, as `findings.json` has it.

    Raises:
        InputError: there is nothing to tell yet.

    """
    study, kept = Study.from_json(store.fact("study") or {}), store.fact("variants") or []
    costs = {(v["model"], v["name"]): v.pop("cost") for v in kept}
    variants = [Variant(**values) for values in kept]
    trials = final_trials(study, variants)
    rows = {trial.key: row for trial in trials if (row := store.run(trial)) is not None}
    if store.fact("test_read") is None:
        raise InputError(
            f"{store.path.parent} is not finished ({len(rows)} of {len(trials)} runs), and the "
            "test split is read at the end; give the study's command once more"
        )
    latency = store.fact("latency") or {}
    speeds = {variant: _speeds(variant, trials, rows) for variant in variants}
    plain = {variant.model: variant for variant in variants if variant.role == "plain"}
    measured = [
        Measured(
            **{name: getattr(v, name) for name in ("model", "name", "attention", "role")},
            matched_by=v.matched_by,
            **costs[v.model, v.name],
            latency=latency.get(f"{v.model} {v.name}"),
            training_time=_slower(speeds[v], speeds[plain[v.model]]),
            values=_values(store, v, trials),
            diverged=[t.seed for t in trials if t.variant == v and _diverged(rows, t)],
            curves=[rows[t.key]["curves"] for t in trials if t.variant == v and t.key in rows],
        )
        for v in variants
    ]
    return {
        "study": _about(store, study, trials, rows),
        "variants": findings(measured, rules=rules_of(study)),
        "pictures": store.fact("pictures") or [],
    }


def rules_of(study: Study) -> Rules:
    """Return what a study is judged by."""
    return Rules(margin=study.margin)


def _values(store: Store, variant: Variant, trials: Iterable[Trial]) -> dict[int, float]:
    mine = ((trial.seed, store.test(trial)) for trial in trials if trial.variant == variant)
    return {seed: test["value"] for seed, test in mine if test is not None}


def _diverged(rows: dict[Any, Row], trial: Trial) -> bool:
    return "diverged" in rows.get(trial.key, {})


def _speeds(variant: Variant, trials: Iterable[Trial], rows: dict[Any, Row]) -> dict[int, float]:
    """Return the images that were trained on in a second, for each seed."""
    mine = ((t.seed, rows.get(t.key, {})) for t in trials if t.variant == variant)
    return {seed: row["images_per_second"] for seed, row in mine if "images_per_second" in row}


def _slower(ours: dict[int, float], plain: dict[int, float]) -> float | None:
    """Return the time of training in times of the plain network's, seed by seed."""
    both = ours.keys() & plain.keys()
    return statistics.median(plain[seed] / ours[seed] for seed in both) if both else None


def _about(store: Store, study: Study, trials: list[Trial], rows: dict[Any, Row]) -> dict[str, Any]:
    trained = [row for row in rows.values() if "diverged" not in row]
    tests = [test for trial in trials if (test := store.test(trial)) is not None]
    told, read = study.to_json(), day(store.fact("test_read"))
    return {
        **{name: told[name] for name in ("name", "task", "data", "seeds", "match", "recipe")},
        **{name: told[name] for name in ("options", "match_tolerance", "learning_rates")},
        "margin": study.margin,
        "effect": rules_of(study).effect,
        "bootstrap_from": FEWEST,
        "metric": METRICS[study.task],
        "epochs": study.every_recipe.epochs,
        "command": store.fact("command"),
        "date": max((row["date"] for row in trained), default=read),
        "hardware": ", ".join(sorted({f"{r['hardware']}, {r['precision']}" for r in trained})),
        "versions": trained[0]["versions"] if trained else {},
        "test_read": read,
        "test_images": tests[0]["images"] if tests else 0,
        "notes": _notes(store, study, trials, rows),
    }


def _notes(store: Store, study: Study, trials: list[Trial], rows: dict[Any, Row]) -> list[str]:
    notes = list(store.fact("notes") or [])
    added = late(study, store.fact("planned") or {}, store.fact("test_read"))
    notes += [] if added is None else [added]
    notes += _waiting(store, trials, rows)
    notes += [
        f"{trial.words} diverged; it is in no mean, and what would favour its side is not "
        f"claimed: {rows[trial.key]['diverged']}"
        for trial in trials
        if _diverged(rows, trial)
    ]
    notes += _made_differently(rows)
    if study.learning_rates:
        chosen = sorted(
            {
                f"{t.variant.name} {rows[t.key]['lr']:g}"
                for t in trials
                if t.key in rows and "lr" in rows[t.key]
            }
        )
        notes.append(
            f"learning rates, chosen among {', '.join(f'{r:g}' for r in study.learning_rates)} on "
            f"{study.validation:.0%} of the training images: {', '.join(chosen)}"
        )
    return notes


def _waiting(store: Store, trials: list[Trial], rows: dict[Any, Row]) -> list[str]:
    """Say what is not in yet, of a study that still grows or that was merged in part."""
    left = [
        trial
        for trial in trials
        if trial.key not in rows or (not _diverged(rows, trial) and store.test(trial) is None)
    ]
    if not left:
        return []
    return [
        f"the study is not finished: {len(left)} of {len(trials)} runs are not in yet (the first: "
        f"{left[0].words}), and what is said here may change"
    ]


def _made_differently(rows: dict[Any, Row]) -> list[str]:
    """Say where runs were made on different machines or with different versions."""
    notes = []
    for what, of in (
        ("hardware or with different precision", lambda row: (row["hardware"], row["precision"])),
        ("versions", lambda row: tuple(sorted(row["versions"].items()))),
    ):
        made: dict[tuple[str, int], set[Any]] = {}
        for (model, _, seed, _), row in rows.items():
            if "diverged" not in row:
                made.setdefault((model, seed), set()).add(of(row))
        if len(set().union(*made.values())) < 2:
            continue
        within = any(len(each) > 1 for each in made.values())
        notes.append(
            f"runs were made on different {what}, also within a seed; training times are not to "
            "be compared"
            if within
            else f"runs were made on different {what}, but those of one seed alike"
        )
    return notes
