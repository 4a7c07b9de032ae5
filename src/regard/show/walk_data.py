"""What the page of a walk carries: the walk's own numbers, packed, within a size that is kept."""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regard.core.grid import Grid
from regard.core.pipeline import Array, GateSite, SwitchedOff, TokenSite, Walk
from regard.show.colour import COLOUR_MAPS, palette, times_uniform
from regard.show.packing import pack, unpack
from regard.show.self_contained import picture_uri

FEATURE_MAPS = 12
WEIGHTED_MAPS = 4
CLASSES = 5
# A site of at most this many keys carries its values whole.
SMALL = 256
_CHECKED_QUERIES = 16


def page_data(walk: Walk, budget: int) -> dict[str, Any]:
    """Return everything the page draws, as JSON values of at most `budget` bytes together.

    Sites are taken from the last to the first, and of each as many heads as fit; what does not
    fit is said in `leftOut`.
    """
    shown = _shown_classes(walk)
    data: dict[str, Any] = {
        "model": walk.model,
        "image": walk.image,
        "picture": picture_uri(walk.picture),
        "size": list(walk.picture.shape[:2]),
        "colours": {kind: palette(kind) for kind in COLOUR_MAPS},
        "classes": [{"label": walk.labels[index]} for index in shown],
        "answer": walk.answer,
        "on": _at(walk.probabilities, shown),
        "allOff": _switched_off(walk.off, shown),
        "totalClasses": len(walk.labels),
        "totalSites": len(walk.sites),
    }
    left = budget - data_size(data) - data_size(walk.left_out)
    sites, left_out = [], list(walk.left_out)
    for site in reversed(walk.sites):
        part, missing = _site(site, shown, left)
        left_out += missing
        if part is not None:
            sites.append(part)
            left -= data_size(part)
    return data | {"sites": sites[::-1], "leftOut": left_out}


def strongest(maps: Array, count: int) -> NDArray[np.intp]:
    """Return the channels of (channel, …) with the largest mean absolute value, strongest first."""
    strength = np.abs(maps.reshape(len(maps), -1)).mean(axis=1)
    return np.argsort(-strength, kind="stable")[:count]


def starting_query(grid: Grid | None) -> int:
    """Return the query a walk starts at: the first prefix token, or else the middle cell."""
    if grid is None or grid.prefix:
        return 0
    return grid.index(grid.rows // 2, grid.cols // 2)


def projection(vectors: Array) -> tuple[NDArray[np.uint8], float]:
    """Return the first three principal components as colours, and the variance they explain.

    Args:
        vectors: (token, d).

    Returns:
        RGB bytes (token, 3), all three on the scale of the first component, so that a weak third
        component stays grey; and the share of the variance in [0, 1].

    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    _, spread, directions = np.linalg.svd(centred, full_matrices=False)
    components = np.zeros((len(vectors), 3))
    kept = min(3, len(spread))
    components[:, :kept] = centred @ directions[:kept].T
    total = float((spread**2).sum())
    unit = 3 * spread[0] / math.sqrt(len(vectors)) if total > 0 else 1.0
    colours = np.clip(0.5 + 0.5 * components / unit, 0, 1)
    explained = float((spread[:3] ** 2).sum()) / total if total > 0 else 0.0
    return np.round(255 * colours).astype(np.uint8), explained


def _site(
    site: TokenSite | GateSite, shown: list[int], budget: int
) -> tuple[dict[str, Any] | None, list[str]]:
    part = _shared(site, shown)
    if isinstance(site, GateSite):
        part |= _gate(site)
        if data_size(part) > budget:
            return None, [f"{site.name}: its maps do not fit into the page"]
        return part, []
    part |= token_site(site)
    left = budget - data_size(part)
    for head in range(site.shape[0]):
        carried = _head(site, head)
        left -= data_size(carried)
        if left < 0:
            break
        part["heads"].append(carried)
    kept, heads = len(part["heads"]), site.shape[0]
    if kept == 0:
        return None, [f"{site.name}: its queries and keys do not fit into the page"]
    if kept < heads:
        return part, [f"{site.name}: only {kept} of its {heads} heads fit into the page"]
    return part, []


def _shared(site: TokenSite | GateSite, shown: list[int]) -> dict[str, Any]:
    return {
        "name": site.name,
        "provenance": site.provenance,
        "features": None if site.features is None else _maps(site.features, FEATURE_MAPS),
        "off": _switched_off(site.off, shown),
    }


def token_site(site: TokenSite) -> dict[str, Any]:
    """Return what the viewer needs of a site beside its heads."""
    _, queries, keys = site.shape
    shared_bias = site.bias is not None and site.bias.shape[0] == 1
    return {
        "kind": "tokens",
        "queries": queries,
        "keys": keys,
        "queryGrid": _grid(site.query_grid),
        "keyGrid": _grid(site.key_grid),
        "sameGrid": site.query_grid is not None and site.query_grid == site.key_grid,
        "start": starting_query(site.query_grid),
        "scale": site.scale,
        "peak": times_uniform(keys).peak,
        "bias": pack(site.bias[0]) if shared_bias and site.bias is not None else None,
        "heads": [],
    }


def _head(site: TokenSite, head: int) -> dict[str, Any]:
    part: dict[str, Any] = {"name": site.head_name(head), "entropies": pack(site.entropies(head))}
    if site.weights is None and site.query is not None and site.key is not None:
        part |= {"query": pack(site.query[head]), "key": pack(site.key[head])}
        part["deviation"] = deviation(site, head)
    elif site.weights is not None:
        part["weights"] = pack(site.weights[head])
    if site.bias is not None and site.bias.shape[0] > 1:
        part["bias"] = pack(site.bias[head])
    for name, vectors in (("query", site.query), ("key", site.key), ("value", site.value)):
        if vectors is not None:
            colours, explained = projection(vectors[head])
            part[f"{name}Colours"] = {"rgb": pack(colours), "explained": explained}
    if site.value is not None:
        part |= _values(site, site.value, head)
    return part


def _values(site: TokenSite, value: Array, head: int) -> dict[str, Any]:
    """Return values and weighted features: all channels of a small site, else the strongest."""
    features = value if site.output is None else site.output
    count = value.shape[2] if site.shape[2] <= SMALL else WEIGHTED_MAPS
    channels = strongest(features[head].T, count)
    return {
        "channels": channels.tolist(),
        "totalChannels": value.shape[2],
        "value": pack(value[head].T[channels]),
        "output": None if site.output is None else pack(site.output[head].T[channels]),
        "valueNorms": pack(np.linalg.norm(value[head], axis=1)),
    }


def deviation(
    site: TokenSite, head: int, pack_vectors: Callable[[Array], dict[str, Any]] = pack
) -> float:
    """Return by how much rows from the packed query and key differ from the model's, at most.

    Measured on some queries spread over all, as a share of each row's largest weight.
    """
    if site.query is None or site.key is None:
        return 0.0
    query, key = (unpack(pack_vectors(x[head]))[None] for x in (site.query, site.key))
    bias = site.bias
    if bias is not None:
        bias = unpack(pack(bias[head if bias.shape[0] > 1 else 0]))[None]
    packed = TokenSite(
        site.name, site.provenance, None, None, query=query, key=key, bias=bias, scale=site.scale
    )
    worst = 0.0
    for index in np.linspace(0, site.shape[1] - 1, _CHECKED_QUERIES).astype(int).tolist():
        row = site.row(head, index)
        worst = max(worst, float(np.abs(packed.row(0, index) - row).max() / row.max()))
    return worst


def _gate(site: GateSite) -> dict[str, Any]:
    channels = strongest(site.value, FEATURE_MAPS)
    over_channels = site.varies_over_channels
    part: dict[str, Any] = {
        "kind": "gate",
        "grid": _grid(site.grid),
        "shape": list(site.value.shape),
        "start": starting_query(site.grid),
        "sigma": site.sigma,
        "overChannels": over_channels,
        "overPositions": site.varies_over_positions,
        "channels": channels.tolist(),
        "range": [float(site.gate.min()), float(site.gate.max())],
        "mean": float(site.gate.mean()),
        "gate": pack(site.gate[channels] if over_channels else site.gate),
        "value": pack(site.value[channels]),
        "output": pack(site.output[channels]),
        "allGates": pack(site.gate.reshape(-1)) if not site.varies_over_positions else None,
    }
    if site.scores is not None:
        part["scores"] = pack(site.scores[channels] if over_channels else site.scores)
        if not site.varies_over_positions:
            part["allScores"] = pack(site.scores.reshape(-1))
    if site.query is not None and site.key is not None:
        part["query"], part["key"] = pack(site.query), pack(site.key)
    return part


def _maps(maps: Array, count: int) -> dict[str, Any]:
    channels = strongest(maps, count)
    return {"channels": channels.tolist(), "total": len(maps), "maps": pack(maps[channels])}


def _grid(grid: Grid | None) -> dict[str, Any] | None:
    return None if grid is None else asdict(grid)


def _shown_classes(walk: Walk) -> list[int]:
    """Return the likeliest classes with attention on, then those likely only without it."""
    if walk.probabilities is None:
        return []
    offs = [site.off for site in walk.sites if site.off is not None]
    shown = _likeliest(walk.probabilities, CLASSES)
    for off in offs:
        shown += [index for index in _likeliest(off.probabilities, 2) if index not in shown]
    return shown[: 2 * CLASSES]


def _likeliest(probabilities: Array, count: int) -> list[int]:
    return np.argsort(-probabilities, kind="stable")[:count].tolist()


def _switched_off(off: SwitchedOff | None, shown: list[int]) -> dict[str, Any] | None:
    if off is None:
        return None
    return {"meaning": off.meaning, "values": _at(off.probabilities, shown)}


def _at(values: Array | None, indices: Iterable[int]) -> list[float] | None:
    return None if values is None else [float(values[index]) for index in indices]


def data_size(part: Any) -> int:
    """Return how many bytes a part takes in the page."""
    return len(json.dumps(part, ensure_ascii=False).encode())
