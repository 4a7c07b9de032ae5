"""How a network is written in one word: `NAME` or `NAME(option=value, …)`."""

import re
from typing import Any

from regard.attention.spec import literal_options
from regard.core.errors import InputError

_WORD = re.compile(r"(?P<name>[\w:./-]+)\s*(?:\((?P<options>.*)\))?", re.DOTALL)


def parse_network(text: str) -> tuple[str, dict[str, Any]]:
    """Read `resnet18` or `resnet18(stem="imagenet", width=32)`: a network's name and its options.

    Raises:
        InputError: the text is not of this form.

    """
    match = _WORD.fullmatch(text.strip())
    if match is None:
        raise InputError(
            f"cannot read model {text!r}; write NAME or NAME(option=value), such as "
            "resnet20(width=32)"
        )
    return match["name"], literal_options(f"model {text!r}", match["options"] or "")
