"""A model's stack of blocks, and what the model makes of the tokens after each of them.

The model is not touched for good: while it runs, a block may be given another input, or its output
be known already. What comes after the blocks (a norm, a classifier) is so applied to any layer.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from regard.core.errors import InputError
from regard.explain.layer import first_tensor, with_first


@dataclass(frozen=True)
class Blocks:
    """The blocks of a stack.

    Attributes:
        name: of the stack in the model.
        modules: the blocks, in order.

    """

    name: str
    modules: tuple[nn.Module, ...]

    @contextmanager
    def apart(self) -> Iterator[list[Any]]:
        """Keep what each block puts out, and let no gradient pass from a block to the one before.

        Raises:
            InputError: (when the block ends) the blocks did not run once each, one on the output of
                the other, or change the tokens' number or width.

        """
        outputs: list[Any] = []
        shapes: set[tuple[int, ...]] = set()

        def cut(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            tokens = first_tensor(args)
            if tokens is None:
                raise InputError(f"the blocks of {self.name!r} are given no tokens first")
            shapes.add(tuple(tokens.shape))
            return (tokens.detach().requires_grad_(), *args[1:])

        def keep(number: int) -> Any:
            def hook(_module: nn.Module, _args: Any, output: Any) -> None:
                if number != len(outputs):
                    raise InputError(f"the blocks of {self.name!r} do not run once each, in order")
                tokens = first_tensor(output)
                shapes.add(() if tokens is None else tuple(tokens.shape))
                outputs.append(output)

            return hook

        with ExitStack() as stack:
            for number, module in enumerate(self.modules):
                stack.callback(module.register_forward_pre_hook(cut).remove)
                stack.callback(module.register_forward_hook(keep(number)).remove)
            yield outputs
        if len(outputs) != len(self.modules) or len(shapes) != 1:
            raise InputError(
                f"the blocks of {self.name!r} change the tokens' number or width, or do not all "
                "run, so that what follows them cannot be applied to each; choose another method"
            )

    @contextmanager
    def skipped(self, outputs: Sequence[Any], number: int) -> Iterator[None]:
        """Let no block run; those from a number on pass on the output of that block.

        Args:
            outputs: what each block puts out.
            number: of the block.

        """
        with ExitStack() as stack:
            for place, module in enumerate(self.modules):
                known = outputs[place] if place < number else _like(outputs, place, number)
                stack.callback(_restore, module, module.__dict__.get("forward"))
                module.forward = _returning(known)
            yield


def blocks_around(model: nn.Module, sites: Sequence[str]) -> Blocks:
    """Return the blocks of the innermost list that holds all the sites.

    Raises:
        InputError: there is no such list.

    """
    modules = dict(model.named_modules())
    paths = [site.split(".") for site in sites]
    for length in range(min(map(len, paths)) - 1, 0, -1):
        name = ".".join(paths[0][:length])
        together = all(path[:length] == paths[0][:length] for path in paths)
        if together and isinstance(modules.get(name), (nn.ModuleList, nn.Sequential)):
            return Blocks(name, tuple(modules[name].children()))
    raise InputError(
        f"the attention of {type(model).__name__} is not in one list of blocks ({sites[0]}, …, "
        f"{sites[-1]}), so that blocks cannot be skipped; choose sites of one list with site=, or "
        "another method"
    )


def _like(outputs: Sequence[Any], place: int, number: int) -> Any:
    """Return a block's output with the tokens of another one."""
    tokens = first_tensor(outputs[number])
    return outputs[place] if tokens is None else with_first(outputs[place], tokens)


def _returning(output: Any) -> Any:
    def forward(*_args: Any, **_kwargs: Any) -> Any:
        return output

    return forward


def _restore(module: nn.Module, forward: Any) -> None:
    if forward is None:
        del module.forward
    else:
        module.forward = forward
