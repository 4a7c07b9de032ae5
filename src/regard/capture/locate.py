"""Where the tokens of every site lie on the input, found by structured light.

No model family is known here. A pattern is put on the input, the model runs again, and the tokens
that move tell where they are (`structured_light`); the positions are then snapped to the lattice
that they fill (`placing`, `lattice`). Convolutions below a site blur a pattern; so it is put on the
input of the nearest module around the site that is given a map of the image, or the tokens of one,
and on the image itself only where there is no such module. Deep in a trained model, where a token
sees far beyond its own place, the tokens of the layer below are lit instead (`token_light`).

A token that follows no pattern has no place: a class token, a register, an object query, a word.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from regard.capture.modules import ModuleStack, Running
from regard.capture.placing import LIKELY, PLAIN, Side, Surroundings, agreement, placed
from regard.capture.replay import (
    Moved,
    Movements,
    Replay,
    SiteCall,
    movements,
    readings_as_map,
    replay_of,
    replays_inside,
)
from regard.capture.sighting import Sighting
from regard.capture.structured_light import Light, opposite_halves, patterns
from regard.capture.token_light import LitTokens, TokenPattern, lit_tokens
from regard.core.grid import Grid
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
# Of the noise, at most.
_DRAWS = 8
# Tokens in another order than the cells of their map fall far short of this (0.4 in Hiera).
_AGREED = 0.8

_KNOWN: WeakKeyDictionary[nn.Module, dict[Any, Located]] = WeakKeyDictionary()
_UNCLEAR = Places(unclear=frozenset(_SIDES))


class Locator:
    """Places the tokens of a model's sites, once for each model and size of input.

    Where a site has tokens for a part of the map only, these are others for another image, mask
    or argument: they are found again for every capture, and for one image alone. So are those of
    a model that draws random numbers; it is run again from the same random state.
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
        search = Search(replay, self.look)
        if search.random and (replay.images > 1 or replay.module.training):
            # Tokens that were picked at random were others for the other images.
            return dict.fromkeys(search.sites, _UNCLEAR)
        found = search.run()
        if search.random:
            return found
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


class Below(NamedTuple):
    """A module around a placed site that is given tokens, as many as the site's queries.

    Attributes:
        source: the placed site.
        name: of the module.
        module: it.
        grid: of the site's queries.

    """

    source: SiteCall
    name: str
    module: nn.Module
    grid: Grid


class Search:
    """Finds where the tokens of all sites of a model lie.

    Attributes:
        replay: the model's call for one image.
        look: captures a module while something runs.
        random: True if the model draws random numbers in eval mode.
        sites: of the model.
        maps: (rows, cols) of the maps that the model makes.
        counted: what the number of tokens suggests.
        seen: of each side of each site, so far.
        plain: the grids that were plain to see, whatever their groups are.

    """

    def __init__(self, replay: Replay, look: Look) -> None:
        random: list[bool] = []
        run = look(replay.module, lambda: random.append(replay.run()))
        self.replay, self.look, self.random = replay, look, any(random)
        self.sites = {
            (replay.full_name(seen.record.site), seen.record.call): seen
            for seen in run
            if seen.record.kind != "gate"
        }
        self.maps = frozenset[tuple[int, ...]]().union(*(seen.maps for seen in run))
        self.counted = {
            call: Places(seen.record.query_grid, seen.record.key_grid)
            for call, seen in self.sites.items()
        }
        self.seen: dict[SiteCall, dict[str, Side]] = {call: {} for call in self.sites}
        self.plain: list[Grid] = []
        self._handed: dict[tuple[SiteCall, str], Movements] = {}

    def run(self) -> Located:
        """Return where the tokens of every site lie.

        What their number suggests is put to a short test first: four images for a model whose
        tokens lie as one would expect, where finding them takes 32.
        """
        self.confirm()
        self.hand_on()
        for lit, sites in self.inner(dims=4):
            self.measure(lit, sites)
        for lit, sites in self.inner(dims=3):
            self.measure(lit, sites, checked=True)
        self.measure(self.replay, self.open())
        self.hand_on()
        return {call: _places(sides) for call, sides in self.seen.items()}

    def open(self) -> list[SiteCall]:
        """Return the sites of which a side could not be told so far, or none has a place."""
        return [
            call
            for call, sides in self.seen.items()
            if not all(side.sure for side in sides.values())
            or not any(side.grid for side in sides.values())
        ]

    @cached_property
    def halves(self) -> Movements:
        """Return what moves under two halves an axis of the image; nothing for a video."""
        axes = self.replay.axes
        return self._moved(self.replay, opposite_halves(axes)) if len(axes) == 2 else {}

    def confirm(self) -> None:
        """Take what counting suggests for the sites where the tokens' movement agrees with it.

        Deep in a trained model a token sees much besides its own place. There the layout of an
        earlier site, where it was plain to see, is taken on less evidence: tokens that had changed
        places since would not agree with it at all.
        """
        counted = {call: p for call, p in self.counted.items() if p.query and p.key}
        agreed: dict[SiteCall, float] = {}
        for call, places in counted.items():
            moved = [self.halves.get(call, {}).get(side) for side in _SIDES]
            agreed[call] = min(map(agreement, moved, (places.query, places.key)))
        plain = [places for call, places in counted.items() if agreed[call] >= PLAIN]
        for call, places in counted.items():
            if agreed[call] >= (LIKELY if places in plain else PLAIN):
                self._keep(call, {s: Side(getattr(places, s), sure=True) for s in _SIDES})

    def hand_on(self) -> None:
        """Take the layout of the site before for open sites whose tokens follow that one's.

        What a token does deep in a model follows less and less from what is at its place in the
        image, and almost wholly from the same token one layer below.
        """
        for call in self.open():
            unknown = {side for side in _SIDES if not self._is_sure(call, side)}
            below = self._below(call) if unknown else None
            if below is not None and unknown <= self._following(call, below):
                self._keep(call, {side: Side(below.grid, sure=True) for side in unknown})

    def _is_sure(self, call: SiteCall, side: str) -> bool:
        return side in self.seen[call] and self.seen[call][side].sure

    def _below(self, call: SiteCall) -> Below | None:
        """Return what carries as many tokens as a site has through the last placed one before."""
        site = self.sites[call]
        tokens = site.record.tensors.output.shape[-2]
        around = {module.name for module in site.running}
        order = list(self.sites)
        for source in reversed(order[: order.index(call)]):
            grid = self.seen[source]["query"].grid if self._is_sure(source, "query") else None
            # Windows may have moved by a cell or two in between, which two halves would not tell.
            if grid is None or grid.groups > 1 or grid.frames > 1 or grid.tokens != tokens:
                continue
            for module in self.sites[source].running:
                shape = module.input_shape or ()
                if module.name not in around and shape[:2] == (1, tokens) and len(shape) == 3:
                    return Below(source, module.name, module.module, grid)
        return None

    def _following(self, call: SiteCall, below: Below) -> set[str]:
        """Return the sides of a site that move as they would if its tokens lay like those below.

        None where the module's tokens are in another order than the queries of the site in it.
        """
        lighting = below.source, below.name
        if lighting not in self._handed:
            lit = lit_tokens(self.replay, below.module)
            light = [TokenPattern(half, below.grid) for half in opposite_halves((0, 1))]
            self._handed[lighting] = {} if lit is None else self._moved(lit, light)
        moved = self._handed[lighting]
        if agreement(moved.get(below.source, {}).get("query"), below.grid) < _AGREED:
            return set()
        sides = moved.get(call, {})
        return {side for side in _SIDES if agreement(sides.get(side), below.grid) >= _AGREED}

    def inner(self, dims: int) -> Iterator[tuple[Replay, list[SiteCall]]]:
        """Yield the innermost modules around open sites that are given a map of the image.

        Args:
            dims: of that input: 4 for a map as such, 3 for its cells as tokens.

        Yields:
            The module's call, and the sites inside that are still open.

        """
        nearest = {call: self._nearest(self.sites[call].running, dims) for call in self.open()}
        names = {name for name in nearest.values() if name is not None}
        for lit in _inner_replays(self.replay, names):
            inside = [call for call in self.open() if nearest.get(call) == lit.name]
            yield lit, [call for call in inside if self._runs_in(call, lit)]

    def _runs_in(self, call: SiteCall, lit: Replay) -> bool:
        """Return True if this call of a site is made in this call of a module."""
        first, each = self._first_in(call[0], lit)
        return first <= call[1] < first + each

    def _first_in(self, site: str, lit: Replay | LitTokens) -> tuple[int, int]:
        """Return the number of a site's first call in a call of a module, and how many it has.

        A head that all levels of a pyramid share runs once a level; a site is taken to run as often
        in each. Where it cannot, all of its calls are taken to be in the first.
        """
        total = sum(name == site for name, _ in self.sites)
        each = total if total % lit.calls else total // lit.calls
        return lit.number * each, each

    def _nearest(self, running: tuple[Running, ...], dims: int) -> str | None:
        for module in reversed(running[1:]):
            shape = module.input_shape or ()
            if len(shape) == dims and readings_as_map(shape, self.replay.size):
                return module.name
        return None

    def measure(self, lit: Replay, sites: list[SiteCall], *, checked: bool = False) -> None:
        """Put all patterns on one module's input, and place the tokens of some sites in it.

        One draw of noise is enough for most. Where much was mixed below a site, its tokens are lit
        by more draws, which average out what other tokens add.

        Args:
            lit: the module.
            sites: inside of it.
            checked: True to drop what does not agree with how tokens move when the image itself
                is lit: those that the module is given may be in another order than its cells.

        """
        total: dict[SiteCall, dict[str, Moved]] = {}
        unsure = list(sites)
        for draw in range(_DRAWS):
            moved = self._moved(lit, patterns(lit.axes), draw) if unsure else {}
            for call in tuple(unsure):
                sides, before = moved.get(call, {}), total.get(call, {})
                total[call] = {side: m + before.get(side, 0) for side, m in sides.items()}
                seen = {side: self._side(call, side, lit, m) for side, m in total[call].items()}
                if checked:
                    whole = self.halves.get(call, {})
                    seen = {side: _checked(one, whole.get(side)) for side, one in seen.items()}
                self._keep(call, seen)
                if not any(one.hopeful or (draw == 0 and not one.sure) for one in seen.values()):
                    unsure.remove(call)

    def _keep(self, call: SiteCall, seen: Mapping[str, Side]) -> None:
        """Take what is known of a site now, where it was not known before."""
        for side, now in seen.items():
            before = self.seen[call].get(side)
            if before is None or before.grid is None or (now.grid is not None and not before.sure):
                self.seen[call][side] = now
            if now.grid is not None and now.sure:
                self.plain.append(replace(now.grid, heads_are_groups=False))

    def _side(self, call: SiteCall, side: str, lit: Replay, moved: Moved) -> Side:
        around = Surroundings(
            lit=lit.size,
            image=self.replay.size,
            maps=self.maps,
            expected=getattr(self.counted[call], side),
            plain=self.plain,
        )
        return placed(moved, around)

    def _moved(self, lit: Replay | LitTokens, light: Sequence[Light], draw: int = 0) -> Movements:
        """Put patterns on a module's input; return what moved, by the sites' names in the model."""

        def records(change: Tensor | None) -> list[AttentionRecord]:
            return [seen.record for seen in self.look(lit.module, lambda: lit.run(change))]

        moved: Movements = {}
        for (site, call), sides in movements(lit, light, records, draw).items():
            name = self.replay.full_name(lit.full_name(site))
            moved[name, self._first_in(name, lit)[0] + call] = sides
        return moved


def _checked(side: Side, halves: Moved | None) -> Side:
    """Drop a grid that the tokens contradict when the image itself is lit."""
    if side.grid is None or agreement(halves, side.grid) >= _AGREED:
        return side
    return Side(None, sure=False)


def _places(sides: Mapping[str, Side]) -> Places:
    grids = {side: one.grid for side, one in sides.items()}
    unclear = frozenset(side for side, one in sides.items() if one.unclear)
    return Places(grids.get("query"), grids.get("key"), unclear)


def _inner_replays(outer: Replay, names: set[str]) -> list[Replay]:
    """Run the model once, and keep what the named modules are given in each of their calls."""
    kept: dict[str, list[list[Replay]]] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
            kept.setdefault(name, []).append(replays_inside(name, module, args, kwargs, outer.size))

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
    return [
        replace(replay, number=number, calls=len(calls))
        for calls in kept.values()
        for number, readings in enumerate(calls)
        for replay in readings
    ]
