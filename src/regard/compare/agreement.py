"""Whether a folder holds this study, and what may still change in it.

Seeds and attention may be added. All else decides the numbers that are there. Once the test split
was read, what is added is said in the report, and learning rates are not looked for again: a choice
made after the test split was seen is a choice made on it.
"""

from datetime import UTC, datetime
from typing import Any

from regard.compare.store import Store
from regard.compare.study import Study
from regard.core.errors import InputError

_GROWING = ("seeds", "attention")
_TUNED = ("learning_rates", "validation", "tuning_seeds", "recipe")


def agreed(store: Store, study: Study) -> Study:
    """Return the study that the folder holds, with what the given one adds, and keep it there.

    Raises:
        InputError: the folder holds another study.

    """
    held = store.fact("study")
    if held is None:
        store.set_fact("study", study.to_json())
        return study
    before = Study.from_json(held)
    _refuse_changes(store, before, study)
    added = {
        name: tuple(v for v in getattr(study, name) if v not in getattr(before, name))
        for name in _GROWING
    }
    whole = before.changed(
        **{name: (*getattr(before, name), *values) for name, values in added.items()}
    )
    read = store.fact("test_read")
    if read is not None and any(added.values()):
        words = " and ".join(
            f"{name} {', '.join(map(str, values))}" for name, values in added.items() if values
        )
        note = (
            f"{words} were added after the test split was read ({read}): whoever goes on until "
            "a result pleases finds one, so take the p-values for indications"
        )
        store.set_fact("notes", [*(store.fact("notes") or []), note])
    store.set_fact("study", whole.to_json())
    return whole


def _refuse_changes(store: Store, before: Study, study: Study) -> None:
    """Raise InputError where the given study differs in what decides the numbers."""
    folder, read = store.path.parent, store.fact("test_read")
    old, new = before.to_json(), study.to_json()
    for name in old:
        if name in (*_GROWING, "name") or old[name] == new[name]:
            continue
        change = _change(name, old[name], new[name])
        if name in _TUNED and read is not None:
            raise InputError(
                f"{change}, and the test split of {folder} was read on {read}: tuning after that "
                "would be tuning on the test split; it is not done here"
            )
        raise InputError(f"{change} in the study that {folder} holds; choose another --out")


def _change(name: str, old: Any, new: Any) -> str:
    """Say what was and what is now; of a recipe only what differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        parts = [_change(key, old.get(key), new.get(key)) for key in keys]
        return f"{name}: {', '.join(parts)}"
    return f"{name} was {old} and is now {new}"


def note_test_read(store: Store) -> str:
    """Keep the day on which the test split was first read, and return it."""
    day = store.fact("test_read") or datetime.now(UTC).date().isoformat()
    store.set_fact("test_read", day)
    return day
