"""Finding the modules of a model by name, glob or predicate, and what comes out of them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from regard.core.errors import InputError, unknown_name
from regard.core.modes import evaluating
from regard.core.seeding import generator, seeded
from regard.core.stand_ins import stand_ins

Where = str | Callable[[str, nn.Module], bool]
InputSize = int | tuple[int, int] | tuple[int, int, int]

# What a model says when it is given a tensor it was not made for.
_WRONG_INPUT = (RuntimeError, ValueError, TypeError, AssertionError, IndexError)


def find_places(model: nn.Module, where: Where) -> dict[str, nn.Module]:
    """Return the submodules that `where` names, by name.

    Args:
        model: any module.
        where: a module's name; a glob, in which `*` stays within one part of a name (`layer*.0`
            is the first block of every layer); or a function of (name, module).

    Raises:
        InputError: nothing matches; for a name, the near matches are named.

    """
    # A module that is registered under several names is one place, and any of them finds it.
    names = {name: m for name, m in model.named_modules(remove_duplicate=False) if name}
    if callable(where):
        found = {name: module for name, module in names.items() if where(name, module)}
    elif any(sign in where for sign in "*?["):
        found = {name: module for name, module in names.items() if _matches(name, where)}
    elif where in names:
        return {where: names[where]}
    else:
        raise unknown_name(f"place in {type(model).__name__}", where, names)
    if not found:
        known = ", ".join(dict(model.named_children()))
        raise InputError(
            f"where={where!r} matches no module of {type(model).__name__}, "
            f"whose first modules are: {known}"
        )
    return {name: module for module, name in {m: n for n, m in reversed(found.items())}.items()}


def _matches(name: str, pattern: str) -> bool:
    parts, patterns = name.split("."), pattern.split(".")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


@contextmanager
def watching(places: Mapping[str, nn.Module]) -> Iterator[dict[str, list[tuple[Any, Any]]]]:
    """Note (first input, output) of every call of the named modules inside the block."""
    calls: dict[str, list[tuple[Any, Any]]] = {name: [] for name in places}

    def copied(value: Any) -> Any:
        # Networks add shortcuts to a module's output in place, so a reference would not do.
        return value.detach().clone() if isinstance(value, Tensor) else value

    def note(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(_module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            calls[name].append((copied(args[0]) if args else None, copied(output)))

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in places.items()]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


class Probe:
    """Runs a model once to see what flows through it, and leaves no trace.

    Eval mode, no gradients, the model's own device and precision; training flags, buffers and the
    global random state are as before, also after an exception.

    Args:
        model: any module.
        input_size: side, (height, width) or (channel, height, width) of the images it takes.
        example_input: the model's input, or a tuple of its inputs, in place of a size.

    """

    def __init__(
        self,
        model: nn.Module,
        *,
        input_size: InputSize | None = None,
        example_input: Tensor | tuple[Any, ...] | None = None,
    ) -> None:
        if input_size is not None and example_input is not None:
            raise InputError("give input_size or example_input, not both")
        self._model = model
        if example_input is not None:
            inputs = example_input if isinstance(example_input, tuple) else (example_input,)
            self._candidates = [inputs]
        else:
            self._candidates = [(_image(model, size),) for size in _sizes(model, input_size)]

    def run(self, places: Mapping[str, nn.Module]) -> dict[str, list[tuple[Any, Any]]]:
        """Run the model on the first input that it takes; return the calls of each place.

        Raises:
            InputError: the model takes none of the inputs.

        """
        failures = []
        for inputs in self._candidates:
            try:
                calls = self._run_once(places, inputs)
            except _WRONG_INPUT as error:
                failures.append(error)
                continue
            self._candidates = [inputs]
            return calls
        tried = " and ".join(str(tuple(inputs[0].shape)) for inputs in self._candidates)
        reason = str(failures[-1]).split("\n", 1)[0]
        raise InputError(
            f"{type(self._model).__name__} failed on a probe input of shape {tried} ({reason}); "
            "pass input_size=(channel, height, width) or example_input=…"
        ) from failures[-1]

    def _run_once(
        self, places: Mapping[str, nn.Module], inputs: tuple[Any, ...]
    ) -> dict[str, list[tuple[Any, Any]]]:
        # Copies stand in for the buffers, so that even a model that updates statistics in eval
        # mode keeps its own.
        copies = stand_ins(self._model, parameters=lambda own: own, buffers=Tensor.clone)
        mode = evaluating(self._model)
        with seeded(0), torch.no_grad(), mode, copies, watching(places) as calls:
            self._model(*inputs)
        return calls


def _sizes(model: nn.Module, given: InputSize | None) -> list[tuple[int, int, int]]:
    """Return the (channel, height, width) to try: as given, the model's own, or two guesses."""
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    channels = 3 if first is None else first.in_channels
    if isinstance(given, int):
        return [(channels, given, given)]
    if given is not None:
        return [given if len(given) == 3 else (channels, *given)]
    for attribute in ("pretrained_cfg", "default_cfg"):  # timm's
        config = getattr(model, attribute, None)
        if config and config.get("input_size"):
            height, width = config["input_size"][-2:]
            return [(channels, height, width)]
    return [(channels, side, side) for side in (224, 32)]


def _image(model: nn.Module, size: tuple[int, int, int]) -> Tensor:
    weight = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    return torch.randn(1, *size, generator=generator(0)).to(weight)
