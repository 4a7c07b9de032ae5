"""Whether data has the classes that a model was trained on, in their order."""

from collections.abc import Sequence

from regard.core.errors import InputError

_NAMED = 3


def refuse_other_classes(
    model: str, labels: Sequence[str], data: str, classes: Sequence[str]
) -> None:
    """Do nothing if the classes are the model's.

    Raises:
        InputError: they are not; the line says which are missing on either side.

    """
    if tuple(classes) == tuple(labels):
        return
    told = []
    for whose, only in (
        ("only the model has", [name for name in labels if name not in classes]),
        ("only the data has", [name for name in classes if name not in labels]),
    ):
        if only:
            more = ", …" if len(only) > _NAMED else ""
            told.append(f"{whose} {', '.join(only[:_NAMED])}{more}")
    raise InputError(
        f"{model} knows {len(labels)} class{'es' * (len(labels) != 1)} and {data} has "
        f"{len(classes)}: "
        f"{'; '.join(told) or 'the same in another order'}; evaluate on data with the model's "
        "classes"
    )
