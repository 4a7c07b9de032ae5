"""Where the tokens of every site lie on the input, found by structured light.

No model family is known here. A pattern is put on the input, the model runs again, and the tokens
that move tell where they are (`structured_light`); the positions are then snapped to the lattice
that they fill (`lattice`). Convolutions below a site blur a pattern; so it is put on the input of
the nearest module around the site that is given a map of the image, and on the image itself only
where there is no such module.

A token that follows no pattern has no place: a class token, a register, an object query, a word.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from regard.capture.lattice import Lattice, fit_lattice
from regard.capture.modules import ModuleStack, Running
from regard.capture.replay import (
    Moved,
    Replay,
    SiteCall,
    axes_of_map,
    movements,
    replay_of,
    replays_of_map,
)
from regard.capture.sighting import Sighting
from regard.capture.structured_light import (
    PERIODS,
    PHASES,
    Pattern,
    Reading,
    likeness,
    opposite_halves,
    patterns,
    read,
)
from regard.core.grid import NO_PLACE, Grid
from regard.core.record import AttentionRecord, Places


@dataclass(frozen=True)
class Seen:
    """What a replay shows of one call of a site.

    Attributes:
        record: of the call.
        running: the modules around it, outermost first.
        maps: (rows, cols) of the maps that the model makes.

    """

    record: AttentionRecord
    running: tuple[Running, ...]
    maps: frozenset[tuple[int, int]]


Look = Callable[[nn.Module, Callable[[], object]], list[Seen]]
"""Captures a module while something runs. The grids of the records are what counting suggests."""

Located = dict[SiteCall, Places]

_SIDES = ("query", "key")
# Of the noise, at most; and the confidence below which more of them do not help.
_DRAWS = 8
_HOPEFUL = 0.4
# Likeness of what tokens do to what they should: plain to see, or likely.
_PLAIN = 0.97
_LIKELY = 0.5
# Tokens, without which no lattice can be told.
_FEWEST = 4

_KNOWN: WeakKeyDictionary[nn.Module, dict[Any, Located]] = WeakKeyDictionary()
_UNCLEAR = Places(unclear=frozenset(_SIDES))


class Locator:
    """Places the tokens of a model's sites, once for each model and size of input.

    Where a site has tokens for a part of the map only, these are others for another image, mask
    or argument: they are found again for every capture, and for one image alone.
    """

    def __init__(self, modules: ModuleStack, look: Look) -> None:
        self.modules = modules
        self.look = look
        self._found: dict[str, Located] = {}

    def __call__(self, sighting: Sighting, expected: Places) -> Places:
        """Return where the queries and keys of a sighting lie."""
        name = sighting.running[0].name
        if name not in self._found:
            self._found[name] = self._located(name)
        return self._found[name].get((sighting.site, sighting.call), Places())

    def _located(self, name: str) -> Located:
        """Return where the tokens of all sites lie in a call of the user's."""
        call, model = self.modules.outermost.get(name), self.modules.model
        replay = None if call is None else replay_of(call, model)
        if replay is None:
            return {}
        known = _KNOWN.setdefault(model, {})
        key = (replay.name, *(tuple(getattr(leaf, "shape", ())) for leaf in replay.leaves))
        if key in known:
            return known[key]
        found = locate(replay, self.look)
        if not any(_is_part(places) for places in found.values()):
            known[key] = found
        elif replay.images > 1:
            return {call: _UNCLEAR if _is_part(p) else p for call, p in found.items()}
        return found


def _is_part(places: Places) -> bool:
    """Return True if the tokens of a side are fewer than the cells of its map."""
    return any(
        grid is not None and grid.cells - grid.placed > (grid.table[:, grid.prefix :] < 0).sum()
        for grid in (places.query, places.key)
    )


def locate(replay: Replay, look: Look) -> Located:
    """Return where the tokens of every site lie.

    What their number suggests is put to a short test first: four images for a model whose tokens
    lie as one would expect, where finding them takes 32.

    Args:
        replay: the model's call for one image.
        look: captures a module while something runs.

    """
    random: list[bool] = []
    run = look(replay.module, lambda: random.append(replay.run()))
    sites = {
        (replay.full_name(seen.record.site), seen.record.call): seen
        for seen in run
        if seen.record.kind != "gate"
    }
    if any(random):
        # Tokens that were picked at random lie elsewhere the next time.
        return dict.fromkeys(sites, _UNCLEAR)
    whole = _Scene(replay, replay, frozenset().union(*(seen.maps for seen in run)))
    found = _confirmed(whole, look, sites)
    rest = {call: seen for call, seen in sites.items() if call not in found}
    nearest = {call: _nearest_map(seen.running, replay) for call, seen in rest.items()}
    for inner in _inner_replays(replay, {name for name in nearest.values() if name is not None}):
        open_sites = [call for call in rest if not _is_placed(found.get(call))]
        around = [call for call in open_sites if nearest[call] == inner.name]
        found |= _measured(whole._replace(replay=inner), look, around)
    rest = {call: seen for call, seen in rest.items() if not _is_placed(found.get(call))}
    known = [g for places in found.values() for g in (places.query, places.key) if g is not None]
    return found | _measured(whole, look, rest, known)


class _Scene(NamedTuple):
    """What is lit: a module's input, in the run of the model that it belongs to.

    Attributes:
        replay: the module that is run again.
        outer: the model.
        maps: (rows, cols) of the maps that the model makes.

    """

    replay: Replay
    outer: Replay
    maps: frozenset[tuple[int, ...]]


def _moved(
    scene: _Scene, light: list[Pattern], look: Look, draw: int = 0
) -> dict[SiteCall, dict[str, Moved]]:
    """Put patterns on a module's input; return what moved, by the sites' names in the model."""
    replay = scene.replay

    def records(change: Tensor | None) -> list[AttentionRecord]:
        return [seen.record for seen in look(replay.module, lambda: replay.run(change))]

    return {
        (scene.outer.full_name(replay.full_name(site)), call): sides
        for (site, call), sides in movements(replay, light, records, draw).items()
    }


def _confirmed(scene: _Scene, look: Look, sites: Mapping[SiteCall, Seen]) -> Located:
    """Return what counting suggests for the sites where the tokens' movement agrees with it.

    Deep in a trained model a token sees much besides its own place. There the layout of an
    earlier site, where it was plain to see, is taken on less evidence: tokens that had changed
    places since would not agree with it at all.
    """
    counted = {call: Places(s.record.query_grid, s.record.key_grid) for call, s in sites.items()}
    if not any(p.query and p.key for p in counted.values()) or len(scene.replay.axes) != 2:
        return {}
    moved = _moved(scene, opposite_halves(scene.replay.axes), look)
    agreement: dict[SiteCall, float] = {}
    for call, places in counted.items():
        sides = [moved.get(call, {}).get(side) for side in _SIDES]
        agreement[call] = min(map(_agreement, sides, (places.query, places.key)))
    plain = [places for call, places in counted.items() if agreement[call] >= _PLAIN]
    return {
        call: places
        for call, places in counted.items()
        if agreement[call] >= (_LIKELY if places in plain else _PLAIN)
    }


def _agreement(moved: Moved | None, grid: Grid | None) -> float:
    """Return how well tokens moved under two halves an axis as they would on a grid."""
    if moved is None or grid is None:
        return 0.0
    return _likeness(moved.sum(-2).flatten(1).unflatten(0, (-1, 2)).numpy(), grid)


def _likeness(movement: Float[np.ndarray, "axis half token"], grid: Grid) -> float:
    cells = grid.table.flatten()
    if movement.shape[-1] != len(cells):
        return 0.0
    where = cells != NO_PLACE
    rows, cols = np.divmod(cells[where] % (grid.rows * grid.cols), grid.cols)
    position = np.stack([(rows + 0.5) / grid.rows, (cols + 0.5) / grid.cols])
    return likeness(movement[..., where], position)


def _measured(
    scene: _Scene, look: Look, sites: Collection[SiteCall], known: Collection[Grid] = ()
) -> Located:
    """Put all patterns on one module's input, and place the tokens of some sites in it.

    One draw of noise is enough for most. Where much was mixed below a site, its tokens are lit by
    more draws, which average out what other tokens add.
    """
    found: Located = {}
    total: dict[SiteCall, dict[str, Moved]] = {}
    plain = list(known)
    unsure = list(sites)
    for draw in range(_DRAWS):
        moved = _moved(scene, patterns(scene.replay.axes), look, draw) if unsure else {}
        for call in tuple(unsure):
            sides, before = moved.get(call, {}), total.get(call, {})
            total[call] = {side: m + before.get(side, 0) for side, m in sides.items()}
            placed = {side: _placed(m, scene, plain) for side, m in total[call].items()}
            grids = {side: one.grid for side, one in placed.items()}
            unclear = frozenset(side for side, one in placed.items() if one.unclear)
            found[call] = Places(grids.get("query"), grids.get("key"), unclear)
            plain += [one.grid for one in placed.values() if one.grid is not None and one.sure]
            if not any(one.hopeful or (draw == 0 and not one.sure) for one in placed.values()):
                unsure.remove(call)
    return found


def _is_placed(places: Places | None) -> bool:
    return places is not None and not (places.query is None and places.key is None)


class _Side(NamedTuple):
    """What is known of one side of a site: its grid, and whether more light could tell more."""

    grid: Grid | None
    sure: bool
    hopeful: bool = False

    @property
    def unclear(self) -> bool:
        return self.grid is None and not self.sure


def _placed(moved: Moved, scene: _Scene, plain: Collection[Grid]) -> _Side:
    shape = (len(scene.replay.axes), len(PERIODS), PHASES)
    movement = moved.sum(-2).unflatten(0, shape).numpy()
    reading = read(movement, scene.replay.size)
    somewhere = int(reading.has_place.sum())
    if somewhere < _FEWEST:
        return _Side(None, sure=True)
    lattice = fit_lattice(reading.position[:, reading.has_place], scene.maps)
    grid = None
    if lattice is not None and lattice.is_sound:
        grid = place(reading, lattice, scene.outer.size)
        if grid.placed == somewhere:
            return _Side(grid, sure=True)
    as_before = _as_before(movement[:, 0, ::2], plain)
    if as_before is not None:
        return _Side(as_before, sure=True)
    return _Side(grid, sure=False, hopeful=lattice is not None and lattice.confidence >= _HOPEFUL)


def _as_before(
    movement: Float[np.ndarray, "axis half group token"], plain: Collection[Grid]
) -> Grid | None:
    """Return the layout of sites where it was plain to see, if these tokens move like theirs.

    Only where there is one such layout of so many tokens: between a window and a shifted one, the
    coarse likeness does not decide.
    """
    groups, tokens = movement.shape[2:]
    layouts = [grid for grid in plain if (grid.groups, grid.tokens) == (groups, tokens)]
    if not layouts or any(grid != layouts[0] for grid in layouts) or len(movement) != 2:
        return None
    flat = movement.reshape(*movement.shape[:2], -1)
    return layouts[0] if _likeness(flat, layouts[0]) >= _LIKELY else None


def place(reading: Reading, lattice: Lattice, image: tuple[int, ...]) -> Grid:
    """Return the grid of tokens that lie on a lattice.

    Args:
        reading: of the tokens.
        lattice: of those that have a place.
        image: length of the model's input along the patterns' axes, in pixels.

    """
    somewhere = reading.has_place
    table = np.full(somewhere.shape, NO_PLACE, dtype=np.int64)
    table[somewhere] = np.where(lattice.sure, lattice.cells, NO_PLACE)
    *frames, rows, cols = lattice.shape
    return Grid(
        rows,
        cols,
        prefix=int(somewhere.any(0).argmax()),
        cell=(image[-2] / rows, image[-1] / cols),
        frames=frames[0] if frames else 1,
        places=table,
    ).simplified()


def _nearest_map(running: tuple[Running, ...], replay: Replay) -> str | None:
    """Return the innermost module around a site that is given a map of the image."""
    for module in reversed(running[1:]):
        shape = module.input_shape
        if shape is not None and axes_of_map(shape, replay.size):
            return module.name
    return None


def _inner_replays(outer: Replay, names: set[str]) -> list[Replay]:
    """Run the model once, and keep what the named modules are given."""
    kept: dict[str, list[Replay]] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
            if name not in kept:
                kept[name] = replays_of_map(name, module, args, kwargs, outer.size)

        return hook

    modules = dict(outer.module.named_modules())
    hooks = [
        modules[name].register_forward_pre_hook(keep(name), with_kwargs=True) for name in names
    ]
    try:
        outer.run()
    finally:
        for hook in hooks:
            hook.remove()
    return [replay for replays in kept.values() for replay in replays]
