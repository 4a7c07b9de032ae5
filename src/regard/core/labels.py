"""Classes by index or by label."""

from collections.abc import Sequence

from regard.core.errors import InputError, unknown_name

VOID = 255
"""In a mask of class indices: a pixel without a class, which counts nowhere."""


def class_index(name: int | str, labels: Sequence[str], classes: int) -> int:
    """Return the index of a class given by index or label.

    Raises:
        InputError: no such class (the near matches are named).

    """
    if isinstance(name, int) or (name.isdecimal() and name not in labels):
        index = int(name)
        if not 0 <= index < classes:
            raise InputError(f"class {index} does not exist: the model knows {classes} classes")
        return index
    if name in labels:
        return list(labels).index(name)
    # "tabby" for "tabby, tabby cat", as ImageNet's labels are lists of synonyms.
    partly = [i for i, label in enumerate(labels) if name in label.split(", ")]
    if len(partly) == 1:
        return partly[0]
    raise unknown_name("class", name, {word for label in labels for word in label.split(", ")})


def label_of(index: int, labels: Sequence[str]) -> str:
    """Return the label of a class, or its number where there is none."""
    return labels[index] if index < len(labels) else f"class {index}"
