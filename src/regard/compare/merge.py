"""Parts of one study, made on machines that share nothing, put together.

Each machine trains a study of its own seeds and reads the test split at its end; what is put
together are finished runs with the figures that they reached there. A figure comes with its run
and never without it, so that none is read twice. What decides the numbers must be alike in all
parts; only seeds and attention may differ. Times at which seeds were asked for travel, too: a seed
that was asked for after any part had read the test split is said in the report.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regard.compare.agreement import GROWING, differing, grown
from regard.compare.part import Part, part_of, read_part
from regard.compare.store import FILE, RunKey, Store
from regard.compare.study import ROLES, Variant, check_folders
from regard.core.errors import InputError


@dataclass(frozen=True)
class Taken:
    """What came of one part.

    Attributes:
        where: the folder or file.
        runs: finished runs that were not there.
        tests: test figures that were not there.
        known: runs that were there already, alike.
        kept: runs that were there already and differ, in words; those that were there stay.

    """

    where: Path
    runs: int
    tests: int
    known: int
    kept: tuple[str, ...]


def merge(folder: str | Path, others: Sequence[str | Path]) -> list[Taken]:
    """Take the runs of other studies, or exported files, into a study; all of them or none.

    Args:
        folder: the study's; made if it is not there.
        others: folders of studies, or files that `regard.compare.export` wrote.

    Returns:
        What came of each.

    Raises:
        InputError: one of them is no study, or another one than the rest.

    """
    if not others:
        raise InputError("nothing to merge; give exported files, or folders of studies")
    place, parts = Path(folder), [read_part(Path(other)) for other in others]
    if not (place / FILE).is_file():
        # What cannot be put together leaves no folder behind.
        _all_joined(_empty(place, parts[0]), parts)
    with Store(place) as store, store.transaction():
        begun = store.fact("study") is not None
        whole, taken = _all_joined(part_of(store) if begun else _empty(place, parts[0]), parts)
        _write(store, whole)
    return taken


def _empty(place: Path, part: Part) -> Part:
    return Part(place, part.study)


def _all_joined(whole: Part, parts: Iterable[Part]) -> tuple[Part, list[Taken]]:
    taken = []
    for part in parts:
        whole, some = joined(whole, part)
        taken.append(some)
    return whole, taken


def _write(store: Store, whole: Part) -> None:
    store.set_fact("study", whole.study.to_json())
    store.set_fact("variants", list(whole.variants))
    for name, fact in whole.facts.items():
        store.set_fact(name, fact)
    store.keep(whole.runs, whole.tests)


def joined(whole: Part, part: Part) -> tuple[Part, Taken]:
    """Return a study with the runs of another part in it, and what came of that.

    Where both have a run, that of `whole` stays, with its own test figure or without.

    Raises:
        InputError: the parts cannot be of one study.

    """
    _refuse_another(whole, part)
    new = {key: run for key, run in part.runs.items() if key not in whole.runs}
    alike = {key for key in part.runs.keys() & whole.runs.keys() if _alike(whole, part, key)}
    kept = sorted(part.runs.keys() - new.keys() - alike)
    # Only of runs that came, or are the same: a figure belongs to the weights it was read with.
    owned = {key[:3] for key in (*new, *alike) if not key[3]}
    tests = {k: test for k, test in part.tests.items() if k in owned and k not in whole.tests}
    study = grown(whole.study, part.study)
    variants = _variants(whole, part, study.models)
    words = tuple(_words(key) for key in kept)
    merged = Part(
        whole.where,
        study,
        variants,
        _facts(whole, part, variants, words),
        {**whole.runs, **new},
        {**whole.tests, **tests},
    )
    return merged, Taken(part.where, len(new), len(tests), len(alike), words)


def _alike(whole: Part, part: Part, key: RunKey) -> bool:
    """Return whether both have the same run, and read the same figure where both read one."""
    if _spelled(whole.runs[key]) != _spelled(part.runs[key]):
        return False
    figures = [each.tests.get(key[:3]) for each in (whole, part)]
    return bool(key[3]) or None in figures or figures[0] == figures[1]


def _spelled(value: Any) -> str:
    # Unlike two NaN, two ways of writing one are the same.
    return json.dumps(value, sort_keys=True)


def _words(key: RunKey) -> str:
    model, variant, seed, rate = key
    return f"{model} {variant}, seed {seed}" + (f", learning rate {rate:g}" if rate else "")


def _refuse_another(whole: Part, part: Part) -> None:
    """Raise InputError where the parts differ in what decides the numbers."""
    changes = differing(whole.study, part.study, "{name} is {old} and there {new}")
    for _, change in changes:
        raise InputError(f"{part.where} is no part of the study in {whole.where}: {change}")
    read: dict[str, Callable[[Part], dict[Any, Any]]] = {
        "the training images have the fingerprint": _fingerprints,
        "the number of test images is": _test_images,
        "the number of parameters of {} is": _costs,
        "the learning rate of {} is": _rates,
    }
    for said, of in read.items():
        ours, theirs = of(whole), of(part)
        for key in (key for key in ours if key in theirs):
            if ours[key] != theirs[key]:
                name = said.format(" ".join(key))
                raise InputError(
                    f"{part.where} is no part of the study in {whole.where}: {name} {ours[key]} "
                    f"and there {theirs[key]}"
                )


def _fingerprints(part: Part) -> dict[Any, Any]:
    """Return the fingerprint of what the runs that count were trained on."""
    found = [run["data"] for key, run in sorted(part.runs.items()) if not key[3] and "data" in run]
    return {("data",): found[0]} if found else {}


def _test_images(part: Part) -> dict[Any, Any]:
    found = [test["images"] for test in part.tests.values()]
    return {("test",): found[0]} if found else {}


def _costs(part: Part) -> dict[Any, Any]:
    """Return parameters: another number is another network, or other classes."""
    return {(v["model"], v["name"]): v["cost"]["parameters"] for v in part.variants}


def _rates(part: Part) -> dict[Any, Any]:
    """Return what learning rate each variant was trained with, where the study looked for one."""
    if not part.study.learning_rates:
        return {}
    return {key[:2]: run["lr"] for key, run in part.runs.items() if not key[3] and "lr" in run}


def _variants(whole: Part, part: Part, models: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """Return the variants of both: by network; plain, with attention, matched."""
    found = {(v["model"], v["name"]): v for v in (*part.variants, *whole.variants)}
    order = [(v["model"], v["name"]) for v in (*whole.variants, *part.variants)]
    place = {key: number for number, key in reversed(list(enumerate(order)))}
    known = sorted(
        found.values(),
        key=lambda v: (
            models.index(v["model"]),
            ROLES.index(v["role"]),
            place[v["model"], v["name"]],
        ),
    )
    check_folders([Variant(**{k: x for k, x in v.items() if k != "cost"}) for v in known])
    return tuple(known)


def _facts(
    whole: Part, part: Part, variants: Sequence[dict[str, Any]], kept: Sequence[str]
) -> dict[str, Any]:
    """Return what is known of both together; times do not depend on the order of the parts."""
    ours, theirs = whole.facts, part.facts
    reads = [facts["test_read"] for facts in (ours, theirs) if facts.get("test_read")]
    notes = [
        f"{words} was trained twice, with different figures; the run that came first is kept"
        for words in kept
    ]
    every = [*(ours.get("notes") or ()), *(theirs.get("notes") or ()), *notes]
    commands = [line for f in (ours, theirs) for line in (f.get("command") or "").splitlines()]
    facts: dict[str, Any] = {
        "command": "\n".join(dict.fromkeys(commands)) or None,
        "test_read": min(reads, default=None),
        "planned": _planned(whole, part),
        "notes": list(dict.fromkeys(every)) or None,
        "latency": _latency(ours, theirs, variants),
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _planned(whole: Part, part: Part) -> dict[str, dict[str, str]]:
    """Return when each seed and attention was first asked for, on whatever machine."""
    told = [
        {name: {str(v): "" for v in getattr(each.study, name)} for name in GROWING}
        if each.facts.get("planned") is None and (each.runs or each.facts)
        else each.facts.get("planned") or {}
        for each in (whole, part)
    ]
    planned: dict[str, dict[str, str]] = {name: {} for name in GROWING}
    for times in told:
        for name in GROWING:
            for value, time in times.get(name, {}).items():
                planned[name][value] = min(time, planned[name].get(value, time))
    return planned


def _latency(ours: Any, theirs: Any, variants: Sequence[dict[str, Any]]) -> dict[str, float] | None:
    """Return the times that one machine took of all variants; those of two do not mix."""
    names = {f"{v['model']} {v['name']}" for v in variants}
    known = [facts["latency"] for facts in (ours, theirs) if facts.get("latency")]
    return next((each for each in known if names <= each.keys()), known[0] if known else None)
