"""A layer whose output lies on the image: chosen by the user, or the last that the target sees.

A layer's output may be a map, channels first or last, or tokens; all are laid out as (batch,
channel, row, col), and back.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.capture import capture
from regard.core.errors import InputError, NothingCaptured, unknown_name
from regard.core.grid import Grid
from regard.explain.mask_target import dense_scores
from regard.explain.targets import Score

Form = Literal["channels first", "channels last", "tokens"]
Site = str | nn.Module
"""How users choose a layer: by name, by a glob over names, or the module itself."""

# A map of fewer cells shows nothing.
_FEWEST_CELLS = 4
# Of the cells, the share that a target must depend on for a layer to tell where.
_SEEN = 0.1


@dataclass(frozen=True)
class Layer:
    """A module and how its output lies on the image.

    Attributes:
        name: in the model.
        module: the module.
        form: how its output is laid out.
        grid: where the cells lie; of tokens, with those that have no place.

    """

    name: str
    module: nn.Module
    form: Form
    grid: Grid

    def to_map(self, output: Tensor) -> Float[Tensor, "batch channel row col"]:
        """Lay an output of the layer out as a map; tokens without a place are left out."""
        if self.form == "channels first":
            return output
        if self.form == "channels last":
            return output.movedim(-1, 1)
        return self.grid.to_map(output.mT)

    def from_map(self, values: Float[Tensor, "batch channel row col"], like: Tensor) -> Tensor:
        """Return an output of the layer with these values; what has no place is as in `like`.

        Args:
            values: the map.
            like: an output of the layer, for as many images or for one.

        """
        if self.form == "channels first":
            return values
        if self.form == "channels last":
            return values.movedim(1, -1)
        placed = self.grid.from_map(values).mT
        has_place = torch.from_numpy(self.grid.table[0] >= 0).to(like.device)
        return torch.where(has_place[:, None], placed, like.expand_as(placed))


def first_tensor(output: Any) -> Tensor | None:
    """Return the tensor in a module's output: itself, or the first of a tuple."""
    if isinstance(output, (tuple, list)) and output:
        output = output[0]
    return output if isinstance(output, Tensor) and output.is_floating_point() else None


def with_first(output: Any, tensor: Tensor) -> Any:
    """Return a module's output with another tensor in the first one's place."""
    if isinstance(output, (tuple, list)):
        return type(output)((tensor, *output[1:]))
    return tensor


_KNOWN: WeakKeyDictionary[nn.Module, dict[Any, Layer]] = WeakKeyDictionary()


def find_layer(model: nn.Module, images: Tensor, score: Score, site: Site = "auto") -> Layer:
    """Return the layer to explain at.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: of the target.
        site: `auto` for the last layer with a map of which the target depends on more than a few
            cells: the last stage of a CNN, or where that ends in an attention among all positions,
            what goes into it, since behind it every cell tells of all others; what goes into the
            last attention of a transformer that reads its class token, whose patches nothing reads
            afterwards. For a box, the last map
            that its place reads: its level of a pyramid. For a region, the last of the coarsest
            maps, the bottom of a U-Net: later ones are nearly the answer itself (Vinogradova et
            al. 2020, arXiv 2002.11434). Or a name, a glob (the last layer that matches), or a
            module.

    Raises:
        InputError: no such layer, or none whose output could be placed on the image.

    """
    if score.places:  # another box may lie at another level
        return _found(model, images, score, site)
    known = _KNOWN.setdefault(model, {})
    key = (site, tuple(images.shape[1:]))
    if key not in known or not _is_still_there(model, known[key]):
        known[key] = _found(model, images[:1], score, site)
    return known[key]


def _is_still_there(model: nn.Module, layer: Layer) -> bool:
    return any(module is layer.module for module in model.modules())


def _found(model: nn.Module, images: Tensor, score: Score, site: Site) -> Layer:
    with _outputs(model, every=site != "auto") as outputs, torch.enable_grad():
        answer = model(images.detach().requires_grad_())
        total = (score(answer) if score.places else score(answer, 0)).sum()
    wanted = [kept for kept in outputs if _matches(kept[0], kept[1], site)]
    if site != "auto" and not wanted:
        modules = list(model.named_modules())
        if not any(_matches(name, module, site) for name, module in modules):
            wish = site if isinstance(site, str) else type(site).__name__
            raise unknown_name("layer", wish, [name for name, _ in modules if name])
    placing = _Placing(model, images)
    found: list[Layer] = []
    local = bool(score.places)
    for name, module, output in reversed(_once(wanted) if local and site == "auto" else wanted):
        layer = placing.layer(name, module, output)
        if layer is None:
            continue
        seen = site != "auto" or _is_seen(layer, output, total, local=local)
        if not seen or (site == "auto" and placing.is_inside(name)):
            continue
        if site != "auto":
            return layer
        if score.layer == "last":
            return layer if local else placing.ahead_of_attention(layer, wanted)
        if layer.to_map(output).shape[1] not in (1, dense_scores(answer).shape[1]):
            found.append(layer)
    if found:
        # Of maps that are as coarse, the last of those that are no part of another module.
        return min(found, key=lambda layer: (layer.grid.cells, layer.name.count(".")))
    what = "no layer" if site == "auto" else f"no output of {site!r}"
    raise InputError(
        f"{what} of {type(model).__name__} lies on the image as a map; choose another site= or a "
        "gradient or perturbation method"
    )


def _matches(name: str, module: nn.Module, site: Site) -> bool:
    if isinstance(site, nn.Module):
        return module is site
    return site == "auto" or fnmatchcase(name, site)


_Kept = tuple[str, nn.Module, Tensor]


@contextmanager
def _outputs(model: nn.Module, *, every: bool) -> Iterator[list[_Kept]]:
    """Keep what each module puts out; of modules that pass on the same tensor, the outermost.

    Args:
        model: while it runs.
        every: keep them all, those whose output a later one writes into too.

    """
    kept: list[_Kept] = []

    def keep(name: str) -> Any:
        def hook(module: nn.Module, _args: Any, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is None or tensor.dim() not in (3, 4) or not tensor.requires_grad:
                return
            if not every and kept and kept[-1][2] is tensor:
                kept.pop()
            kept.append((name, module, tensor))

        return hook

    with ExitStack() as stack:
        for name, module in model.named_modules():
            if name:
                stack.callback(module.register_forward_hook(keep(name)).remove)
        yield kept


def _once(kept: list[_Kept]) -> list[_Kept]:
    """Return the outputs of modules that ran once: a box is read from one of a head's calls."""
    calls = Counter(name for name, _, _ in kept)
    return [one for one in kept if calls[one[0]] == 1]


def _is_seen(layer: Layer, output: Tensor, total: Tensor, *, local: bool) -> bool:
    """Return True if the target depends on more than a few cells of a layer.

    Args:
        layer: how its output lies on the image.
        output: of the layer.
        total: the score.
        local: whether the target is a place in each image, and so depends on few cells of many.

    """
    (gradient,) = torch.autograd.grad(total, output, retain_graph=True, allow_unused=True)
    if gradient is None:
        return False
    cells = layer.to_map(gradient).abs().amax(1) > 0
    if local:
        return int(cells.flatten(1).sum(1).min()) >= _FEWEST_CELLS
    return float(cells.any(0).float().mean()) > _SEEN


def _sees_neighbours(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1


class _Placing:
    """Lays outputs on the image; attention is captured only if somebody asks for it."""

    def __init__(self, model: nn.Module, image: Tensor) -> None:
        self.model = model
        self.image = image

    def layer(self, name: str, module: nn.Module, output: Tensor) -> Layer | None:
        """Return the layer if its output lies on the image."""
        if output.shape[0] != self.image.shape[0]:
            return None  # windows
        if output.dim() == 3:
            grid = self._attention[1].get(output.shape[1])
            return None if grid is None else Layer(name, module, "tokens", grid)
        height, width = self.image.shape[2:]
        forms: tuple[tuple[Form, tuple[int, int]], ...] = (
            ("channels first", (output.shape[2], output.shape[3])),
            ("channels last", (output.shape[1], output.shape[2])),
        )
        for form, (rows, cols) in forms:
            # In the image's proportions, but for what rounding may do.
            if rows * cols >= _FEWEST_CELLS and abs(rows * width - cols * height) <= max(
                height, width
            ):
                grid = Grid(rows, cols, cell=(height / rows, width / cols))
                return Layer(name, module, form, grid)
        return None

    def is_inside(self, name: str) -> bool:
        """Return True for a part of an attention, such as its queries.

        They are no map even if they look like one: 65 tokens of 64 channels a head may be taken for
        65×64 cells.
        """
        return any(name.startswith(f"{site}.") for site in self._attention[0])

    def ahead_of_attention(self, layer: Layer, kept: Sequence[_Kept]) -> Layer:
        """Return the part of a stage of maps in front of its last, where that is an attention.

        A part with convolutions of its own that see neighbours is more than that, and stays.

        Args:
            layer: the stage.
            kept: the outputs of all modules.

        """
        parts = list(layer.module.named_children())
        if layer.form == "tokens" or not isinstance(layer.module, nn.Sequential) or len(parts) < 2:
            return layer
        (before, _), (last, module) = parts[-2:]
        name = f"{layer.name}.{last}"
        attends = any(f"{site}.".startswith(f"{name}.") for site in self._attention[0])
        if not attends or any(_sees_neighbours(part) for part in module.modules()):
            return layer
        for found, part, output in reversed(kept):
            if found == f"{layer.name}.{before}":
                return self.layer(found, part, output) or layer
        return layer

    @cached_property
    def _attention(self) -> tuple[frozenset[str], dict[int, Grid]]:
        """The sites where tokens attend, and the grid of tokens by their number."""
        try:
            with torch.no_grad(), capture(self.model, keep="operators") as seen:
                self.model(self.image)
        except NothingCaptured:
            return frozenset(), {}
        records = [r for r in seen.records if r.kind != "gate" and r.mixes == "tokens"]
        grids: dict[int, Grid] = {}
        for record in reversed(records):
            for grid in (record.query_grid, record.key_grid):
                if grid is not None and grid.groups == 1 and grid.cells >= _FEWEST_CELLS:
                    grids.setdefault(grid.tokens, grid)
        return frozenset(record.site for record in records), grids
