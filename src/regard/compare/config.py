"""Studies as files: Python that makes a `Study` by the name `study`, or YAML with its fields."""

import re
import runpy
from pathlib import Path

import yaml

from regard.compare.study import Study
from regard.core.errors import InputError
from regard.train import named_recipe

_OUTSIDE_BRACKETS = re.compile(r",(?![^()]*\))")


def read_study(path: Path) -> Study:
    """Read a study from a `.py`, `.yaml` or `.yml` file.

    A Python file is run, as any program of the user's. YAML has the fields of `Study`; its
    `recipe` has those of `Recipe`, and `base` for the recipe that they change.

    Raises:
        InputError: the file is missing or of another kind, or makes no study.

    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a study's .py or .yaml file")
    if path.suffix == ".py":
        return _from_python(path)
    if path.suffix in (".yaml", ".yml"):
        return _from_yaml(path)
    raise InputError(f"{path} is no study; give a .py or .yaml file")


def _from_python(path: Path) -> Study:
    try:
        made = runpy.run_path(str(path)).get("study")
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{path} failed: {type(error).__name__}: {error}") from error
    if not isinstance(made, Study):
        raise InputError(f"{path} makes no study; it needs a line `study = Study(…)`")
    return made


def _from_yaml(path: Path) -> Study:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no study; write one line for each field, such as data:")
    values.setdefault("name", path.stem)
    recipe = values.pop("recipe", None)
    if not isinstance(recipe, dict | None):
        raise InputError(f"{path}: recipe is {recipe!r}; write its fields below it, or base:")
    for name in ("models", "attention", "learning_rates"):
        if isinstance(values.get(name), str | int | float):
            raise InputError(f"{path}: {name} is {values[name]!r}; write a list")
    try:
        made = Study.from_json(values)
        if recipe is None:
            return made
        base = recipe.pop("base", None)
        start = made.every_recipe if base is None else named_recipe(base)
        return made.changed(recipe=start.changed(**recipe))
    except TypeError as error:
        told = " ".join(str(error).split())
        raise InputError(f"{path}: recipe: {told}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def which_seeds(words: str | None) -> int | tuple[int, ...] | None:
    """Return the seeds that a user names: `5` for how many; `5-9` and `0,3,5-9` for which.

    Raises:
        InputError: no numbers.

    """
    if words is None:
        return None
    given = words.strip()
    if given.isdecimal():
        return int(given)
    found: list[int] = []
    for part in given.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
            raise InputError(f"seeds {words!r}; give how many, as 5, or which, as 5-9 or 0,3,7")
        found += range(int(first), int(last) + 1)
    return tuple(found)


def listed(words: str | None) -> tuple[str, ...] | None:
    """Return the words of a list with commas; those in brackets do not divide it."""
    if words is None:
        return None
    return tuple(word.strip() for word in _OUTSIDE_BRACKETS.split(words) if word.strip())
