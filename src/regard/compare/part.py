"""A study as it travels: its finished runs, what they reach, and what is known of them.

It is read from a study's folder, or from one JSON file that `regard compare export` wrote: small
enough to be sent and kept under version control, with the curves and without weights and pictures.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regard.compare.store import RunKey, Store, TestKey, open_store
from regard.compare.study import ROLES, Study, Variant
from regard.core.errors import InputError
from regard.core.files import write_text

FORMAT, VERSION = "regard study", 1

FACTS = ("command", "test_read", "planned", "notes", "latency")
"""What a study knows besides its runs that can travel."""


@dataclass(frozen=True)
class Part:
    """A study, or a machine's part of one.

    Attributes:
        where: the folder or the file, for messages.
        study: what is compared.
        variants: their fields, and `cost`: plain values.
        facts: those of `FACTS` that are known.
        runs: every finished run.
        tests: what was read on the test split.

    """

    where: Path
    study: Study
    variants: tuple[dict[str, Any], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    runs: Mapping[RunKey, dict[str, Any]] = field(default_factory=dict)
    tests: Mapping[TestKey, dict[str, Any]] = field(default_factory=dict)


def read_part(path: Path) -> Part:
    """Read a study's folder, or a file that `export` wrote.

    Raises:
        InputError: it is neither.

    """
    if not path.is_file():
        with open_store(path) as store, store.transaction():
            return part_of(store)
    return _from_file(path)


def part_of(store: Store) -> Part:
    """Return what a study's folder holds; within a transaction, of one moment.

    Raises:
        InputError: nothing was begun there.

    """
    folder = store.path.parent
    told = store.fact("study")
    if told is None:
        raise InputError(f"{folder} holds no study yet; give one that was begun")
    facts = {name: fact for name in FACTS if (fact := store.fact(name)) is not None}
    variants = tuple(store.fact("variants") or ())
    return Part(folder, Study.from_json(told), variants, facts, store.runs(), store.tests())


def export(folder: str | Path, file: str | Path) -> Part:
    """Write a study's finished runs into one file, whole or not at all, and return them.

    The study need not be finished.

    Args:
        folder: the study's.
        file: the file to write; one that is there is replaced.

    Raises:
        InputError: the folder holds no study, or the file cannot be written.

    """
    part = read_part(Path(folder))
    head = {
        "format": FORMAT,
        "version": VERSION,
        "study": part.study.to_json(),
        "variants": list(part.variants),
        "facts": dict(part.facts),
    }
    # One run a line, in a fixed order: what was added is what differs between two versions.
    runs = [_line(part, key) for key in sorted(part.runs)]
    text = json.dumps(head, ensure_ascii=False)[:-1]
    body = ",\n".join(json.dumps(run, ensure_ascii=False) for run in runs)
    write_text(Path(file), f'{text}, "runs": [\n{body}\n]}}\n')
    return part


def _line(part: Part, key: RunKey) -> dict[str, Any]:
    model, variant, seed, rate = key
    test = None if rate else part.tests.get(key[:3])
    told = {"model": model, "variant": variant, "seed": seed, "rate": rate}
    return {**told, "run": part.runs[key], "test": test}


def _from_file(path: Path) -> Part:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise InputError(
            f"{path} holds no study; give a file that `regard compare export` wrote, or a study's "
            "folder"
        )
    if told.get("version") != VERSION:
        raise InputError(
            f"{path} has version {told.get('version')} of the format and this Regard reads "
            f"{VERSION}; export it with the same Regard"
        )
    try:
        return _checked(path, told)
    except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
        raise InputError(
            f"{path} is damaged ({type(error).__name__}: {' '.join(str(error).split())}); "
            "export the study once more"
        ) from error


def _checked(path: Path, told: dict[str, Any]) -> Part:
    """Return a file's values; any error is one of the file."""
    runs: dict[RunKey, dict[str, Any]] = {}
    tests: dict[TestKey, dict[str, Any]] = {}
    for line in told["runs"]:
        key = (str(line["model"]), str(line["variant"]), int(line["seed"]), float(line["rate"]))
        if key in runs:
            raise ValueError(f"the run {key} is there twice")
        run, test = line["run"], line["test"]
        if not isinstance(run["curves"], list):
            raise TypeError(f"the curves of {key} are no list")
        runs[key] = run
        if test is not None:
            if not (math.isfinite(test["value"]) and 0 <= test["value"] <= 1):
                raise ValueError(f"the test figure of {key} is {test['value']}")
            tests[key[:3]] = {**test, "images": int(test["images"])}
    study = Study.from_json(told["study"])
    variants = tuple(dict(variant) for variant in told["variants"])
    for variant in variants:
        cost = variant["cost"]
        made = Variant(**{name: value for name, value in variant.items() if name != "cost"})
        if made.model not in study.models or made.role not in ROLES:
            raise ValueError(f"{made.model} {made.name} is no variant of the study")
        int(cost["parameters"])
    facts = {name: told["facts"][name] for name in FACTS if name in told["facts"]}
    return Part(path, study, variants, facts, runs, tests)
