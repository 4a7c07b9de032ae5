"""Whether a folder holds this study, and what may still change in it.

Seeds and attention may be added. All else decides the numbers that are there. Once the test split
was read, what is added is said in the report, and learning rates are not looked for again: a choice
made after the test split was seen is a choice made on it. The margin of equivalence decides no
number and may change; if it does after the test split was read, the report says so.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from regard.compare.store import Store
from regard.compare.study import Study
from regard.core.errors import InputError

GROWING = ("seeds", "attention")
"""What may be added to a study."""

_TUNED = ("learning_rates", "validation", "tuning_seeds", "recipe")

Planned = dict[str, dict[str, str]]
"""When each seed and each attention was first asked for, by field and value; empty: not known."""


def agreed(store: Store, study: Study) -> Study:
    """Return the study that the folder holds, with what the given one adds, and keep it there.

    Raises:
        InputError: the folder holds another study.

    """
    # Another process may begin the same study with other seeds at the same time.
    with store.transaction():
        held = store.fact("study")
        before = None if held is None else Study.from_json(held)
        if before is None:
            whole = study
        else:
            _refuse_changes(store, before, study)
            whole = grown(before, study).changed(margin=study.margin)
            _note_margin(store, before.margin, study.margin)
        store.set_fact("planned", _planned(store, whole, before))
        store.set_fact("study", whole.to_json())
    return whole


def grown(before: Study, study: Study) -> Study:
    """Return a study with the seeds and attention that another one adds, behind its own."""
    added = {
        name: tuple(v for v in getattr(study, name) if v not in getattr(before, name))
        for name in GROWING
    }
    return before.changed(
        **{name: (*getattr(before, name), *values) for name, values in added.items()}
    )


def differing(before: Study, study: Study, said: str) -> Iterator[tuple[str, str]]:
    """Yield each field but seeds, attention and name that differs, and the difference in words.

    Args:
        before: a study.
        study: another one.
        said: how a difference is told, with `{name}`, `{old}` and `{new}`.

    """
    old, new = before.to_json(), study.to_json()
    for name in old:
        if name not in (*GROWING, "name") and old[name] != new[name]:
            yield name, _change(name, old[name], new[name], said)


def _refuse_changes(store: Store, before: Study, study: Study) -> None:
    """Raise InputError where the given study differs in what decides the numbers."""
    folder, read = store.path.parent, store.fact("test_read")
    judged_alike = study.changed(margin=before.margin)
    for name, change in differing(before, judged_alike, "{name} was {old} and is now {new}"):
        if name in _TUNED and read is not None:
            raise InputError(
                f"{change}, and the test split of {folder} was read on {day(read)}: tuning after "
                "that would be tuning on the test split; it is not done here"
            )
        raise InputError(f"{change} in the study that {folder} holds; choose another --out")


def _note_margin(store: Store, old: float, new: float) -> None:
    """Keep for the report that the margin was changed after the test split was read."""
    read = store.fact("test_read")
    if read is None or old == new:
        return
    note = (
        f"the margin of equivalence was changed from ±{100 * old:g} to ±{100 * new:g} points "
        f"after the test split was read ({day(read)})"
    )
    store.set_fact("notes", list(dict.fromkeys([*(store.fact("notes") or []), note])))


def _change(name: str, old: Any, new: Any, said: str) -> str:
    """Say what is different; of a recipe only what differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        parts = [_change(key, old.get(key), new.get(key), said) for key in keys]
        return f"{name}: {', '.join(parts)}"
    return said.format(name=name, old=old, new=new)


def _planned(store: Store, whole: Study, before: Study | None) -> Planned:
    """Return when each seed and attention was first asked for: what is new, now."""
    planned = store.fact("planned")
    if planned is None:  # of a study from before such times were kept
        planned = {name: {} if before is None else _each(before, name, "") for name in GROWING}
    return {name: {**_each(whole, name, now()), **planned[name]} for name in GROWING}


def _each(study: Study, name: str, time: str) -> dict[str, str]:
    return {str(value): time for value in getattr(study, name)}


def late(study: Study, planned: Mapping[str, Mapping[str, str]], read: str | None) -> str | None:
    """Return a note on what was asked for after the test split was read; None where nothing was.

    Args:
        study: the study.
        planned: when each of its seeds and attentions was asked for.
        read: when the test split was read.

    """
    if read is None:
        return None
    after = {
        name: [str(v) for v in getattr(study, name) if planned.get(name, {}).get(str(v), "") > read]
        for name in GROWING
    }
    words = " and ".join(f"{name} {', '.join(values)}" for name, values in after.items() if values)
    if not words:
        return None
    return (
        f"{words} were added after the test split was read ({day(read)}): whoever goes on until "
        "a result pleases finds one, so take the p-values for indications"
    )


def note_test_read(store: Store) -> None:
    """Keep the time at which the test split was first read."""
    if store.fact("test_read") is None:
        store.set_fact("test_read", now())


def now() -> str:
    """Return the time (UTC), so that later ones sort behind earlier ones."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def day(time: str) -> str:
    """Return the day of a time; studies from before 0.1 kept no more than that."""
    return time[:10]
