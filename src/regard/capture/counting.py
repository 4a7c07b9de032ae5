"""Where a site's tokens lie on the input, told by counting them.

A count is evidence only where one layout fits. Where several do, or none, the answer is None:
a token is never placed by a guess.
"""

from collections.abc import Collection, Sequence

from regard.core.grid import Grid

Shape = tuple[int, ...]

# Class, distillation and register tokens: more than this is not a prefix but another layout.
_MOST_PREFIX_TOKENS = 8
_FEWEST_CELLS = 4


def _image_size(shapes: Sequence[Shape | None]) -> tuple[int, int] | None:
    """Return height and width of the model's input, if that was an image or a feature map."""
    outermost = shapes[0] if shapes else None
    return (outermost[2], outermost[3]) if outermost and len(outermost) == 4 else None


def _with_cell(rows: int, cols: int, prefix: int, image: tuple[int, int] | None) -> Grid:
    cell = (image[0] / rows, image[1] / cols) if image else None
    return Grid(rows, cols, prefix, cell)


def _maps(shape: Shape | None, tokens: int) -> set[tuple[int, int]]:
    """Return how a module's input may be a map of so many cells, channels first or last."""
    if shape is None or len(shape) != 4:
        return set()
    return {(h, w) for h, w in (shape[2:], shape[1:3]) if h * w == tokens}


def _patches(height: int, width: int) -> set[tuple[int, int]]:
    """Return every (rows, cols) that square patches of an image give without a remainder."""
    whole = (p for p in range(1, min(height, width) + 1) if height % p == width % p == 0)
    return {(height // p, width // p) for p in whole}


def _fitting(tokens: int, maps: Collection[tuple[int, int]]) -> set[tuple[int, int, int]]:
    """Return (rows, cols, prefix) for each of the maps that so many tokens may be."""
    found: set[tuple[int, int, int]] = set()
    for rows, cols in maps:
        cells = rows * cols
        if cells >= _FEWEST_CELLS and 0 <= tokens - cells <= min(_MOST_PREFIX_TOKENS, cells // 2):
            found.add((rows, cols, tokens - cells))
    return found


def locate_tokens(
    tokens: int, shapes: Sequence[Shape | None], maps: Collection[tuple[int, int]] = ()
) -> Grid | None:
    """Place `tokens` tokens on the model's input, or return None where more than one way fits.

    The nearest module whose input is a map of just so many cells decides. Otherwise it is a map
    that the model has made, after a few prefix tokens; or, if none fits, square patches of the
    model's input, for models that cut these without a convolution.

    Args:
        tokens: how many there are.
        shapes: the input shapes of the modules that were running, outermost first.
        maps: (rows, cols) of the maps that the model's modules put out.

    """
    image = _image_size(shapes)
    for shape in reversed(shapes):
        found = _maps(shape, tokens)
        if len(found) == 1:
            return _with_cell(*found.pop(), 0, image)
        if found:
            return None
    if image is None:
        return None
    layouts = _fitting(tokens, maps) or _fitting(tokens, _patches(*image))
    return _with_cell(*layouts.pop(), image) if len(layouts) == 1 else None


def locate_map(
    value: Shape, shapes: Sequence[Shape | None], maps: Collection[tuple[int, int]] = ()
) -> Grid | None:
    """Place the cells of the features that a gate weighs.

    Args:
        value: (batch, …, height, width), or (batch, token, channel).
        shapes: the input shapes of the modules that were running, outermost first.
        maps: (rows, cols) of the maps that the model's modules put out.

    """
    if len(value) >= 4:
        rows, cols = value[-2:]
        return _with_cell(rows, cols, 0, _image_size(shapes)) if rows * cols > 1 else None
    return locate_tokens(value[1], shapes, maps) if len(value) == 3 else None
