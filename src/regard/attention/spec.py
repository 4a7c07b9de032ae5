"""How a mechanism is written in one word: `NAME`, `NAME@PLACE`, `NAME(option=value, …)@PLACE`."""

import ast
import re
from typing import Any, NamedTuple

from regard.attention.registry import mechanisms
from regard.core.errors import InputError

_SPEC = re.compile(r"(?P<name>\w+)\s*(?:\((?P<options>.*)\))?\s*(?:@(?P<place>[^()]+))?", re.DOTALL)


class AttentionSpec(NamedTuple):
    """A mechanism, where it goes, and its options.

    Attributes:
        name: a registered mechanism.
        place: a module name or glob, as `insert` takes it; None if none was given.
        options: what the mechanism's constructor is called with.

    """

    name: str
    place: str | None
    options: dict[str, Any]


def parse_attention(text: str) -> AttentionSpec:
    """Read `eca`, `eca@layer3` or `multi_head(num_heads=4)@layer*.1`.

    Values are Python literals: numbers, strings in quotes, True, False, None, tuples, lists.

    Raises:
        InputError: the text is not of this form, or the mechanism is unknown (the near matches
            are named).

    """
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise InputError(
            f"cannot read attention {text!r}; write NAME, NAME@PLACE or "
            "NAME(option=value)@PLACE, such as multi_head(num_heads=4)@layer3"
        )
    name, place = match["name"], match["place"]
    mechanism = mechanisms[name]
    options = literal_options(f"attention {text!r}", match["options"] or "")
    return AttentionSpec(mechanism.name, place and place.strip(), options)


def literal_options(what: str, arguments: str) -> dict[str, Any]:
    """Read `a=1, b="x"` as literals: Python's own parser splits it, and nothing is evaluated.

    Args:
        what: whose options they are, for the error message.
        arguments: what stands between the brackets.

    Raises:
        InputError: it is not of this form.

    """
    unreadable = InputError(
        f"cannot read the options of {what}; write each once, as name=value with a "
        "literal value (number, quoted string, True, False, None), separated by commas"
    )
    try:
        call = ast.parse(f"_({arguments})", mode="eval").body
    except SyntaxError as error:
        raise unreadable from error
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)) or call.args:
        raise unreadable
    names = [keyword.arg for keyword in call.keywords]
    if None in names or len(set(names)) < len(names):  # **mapping, or a name given twice
        raise unreadable
    try:
        return {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except ValueError as error:
        raise unreadable from error
