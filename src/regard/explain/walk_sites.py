"""From a record of one image to the plain arrays of a walk."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from regard.core.grid import Grid
from regard.core.pipeline import Array, GateSite, Sigma, SwitchedOff, TokenSite
from regard.core.record import AttentionRecord

# Weights that are kept as a matrix, where query and key do not give them.
_MOST_WEIGHTS = 4_000_000
_ROWS_CHECKED = 3
_TOLERANCE = 1e-3

_SIGMAS: Mapping[Sigma, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "softmax over positions": lambda scores: scores.flatten(-2).softmax(-1).view_as(scores),
    "relu": torch.relu,
    "hard sigmoid": F.hardsigmoid,
    "tanh": torch.tanh,
}


class UnshowableError(Exception):
    """A site that a walk cannot show; the message says why."""


def site_of(
    record: AttentionRecord, name: str, features: Array | None, off: SwitchedOff | None
) -> TokenSite | GateSite:
    """Turn a record into what a walk keeps of it.

    Raises:
        UnshowableError: its tensors are laid out in a way that has no picture, or are too large.

    """
    if record.kind == "gate":
        return _gate_site(record, name, features, off)
    return _token_site(record, name, features, off)


def lay_out(features: Tensor | None, grid: Grid | None) -> Array | None:
    """Return (channel, row, col) of what a module was given, or None where that is no such map."""
    if features is None or grid is None or features.shape[0] != 1:
        return None
    places = (grid.rows, grid.cols)
    if features.ndim == 4 and features.shape[2:] == places:
        return _array(features[0])
    if features.ndim == 4 and features.shape[1:3] == places:
        return _array(features[0].permute(2, 0, 1))
    if features.ndim == 3 and features.shape[1] == grid.tokens and grid.groups == 1:
        return _array(grid.to_map(features[0].mT))
    return None


def _in_order(grid: Grid | None) -> Grid | None:
    """Return a grid whose tokens lie row by row, and None for windows, frames and other orders.

    The page lays tokens out in their own order; the tokens of one window are not the image's.
    """
    return grid if grid is not None and grid.is_regular and grid.frames == 1 else None


def _token_site(
    record: AttentionRecord, name: str, features: Array | None, off: SwitchedOff | None
) -> TokenSite:
    groups, heads, queries, keys = record.operator.shape
    tensors = record.tensors
    query_grid, key_grid = _in_order(record.query_grid), _in_order(record.key_grid)
    query, key = (
        _of(x, groups, heads, n) for x, n in ((tensors.query, queries), (tensors.key, keys))
    )
    value, output = (
        _of(tensors.value, groups, heads, keys),
        _of(tensors.output, groups, heads, queries),
    )
    if record.kind == "softmax" and query is not None and key is not None:
        bias = _bias(record)
        site = TokenSite(
            name,
            record.provenance,
            query_grid,
            key_grid,
            query=query,
            key=key,
            value=value,
            output=output,
            bias=bias,
            scale=tensors.scale,
            features=features,
            off=off,
            groups=groups,
        )
        if _gives_the_rows(site, record):
            return site
    if groups * heads * queries * keys > _MOST_WEIGHTS:
        raise UnshowableError(
            f"its {groups * heads} × {queries} × {keys} weights follow from no query and key, "
            "and are too many to keep"
        )
    weights = _array(record.operator.dense().flatten(0, 1))
    return TokenSite(
        name,
        record.provenance,
        query_grid,
        key_grid,
        query=query,
        key=key,
        value=value,
        output=output,
        weights=weights,
        features=features,
        off=off,
        groups=groups,
    )


def _of(tensor: Tensor | None, groups: int, heads: int, tokens: int) -> Array | None:
    """Return (group and head, token, d), or None for a tensor of another layout."""
    if tensor is None or tensor.ndim != 4 or tensor.shape[:3] != (groups, heads, tokens):
        return None
    return _array(tensor.flatten(0, 1))


def _bias(record: AttentionRecord) -> Array | None:
    """Return what is added to the scores: the mask, with -inf where a key is hidden."""
    groups, heads, queries, keys = record.operator.shape
    mask, causal = record.tensors.mask, record.tensors.causal
    if mask is None and not causal:
        return None
    bias = torch.zeros(1, 1, 1, keys)
    if mask is not None:
        mask = mask.detach().cpu()
        hidden = (
            torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)
            if mask.dtype is torch.bool
            else mask
        )
        bias = hidden[(None,) * (4 - hidden.ndim)].float()
    if causal:
        seen = torch.ones(queries, keys).tril().bool()
        bias = bias.expand(-1, -1, queries, keys).masked_fill(~seen, -torch.inf)
    rows = bias.shape[2]
    if bias.shape[0] > 1 or bias.shape[1] > 1:
        bias = bias.expand(groups, heads, rows, keys)
    return _array(bias.expand(-1, -1, rows, keys).flatten(0, 1))


def _gives_the_rows(site: TokenSite, record: AttentionRecord) -> bool:
    """Return whether rows from query and key are those of the record, on some of the queries."""
    heads, queries, _ = site.shape
    for query in np.unique(np.linspace(0, queries - 1, _ROWS_CHECKED).astype(int)).tolist():
        rows = _array(record.operator.rows(query).flatten(0, 1))[:, 0]
        ours = np.stack([site.row(head, query) for head in range(heads)])
        if not np.allclose(ours, rows, rtol=_TOLERANCE, atol=_TOLERANCE * float(rows.max())):
            return False
    return True


def _gate_site(
    record: AttentionRecord, name: str, features: Array | None, off: SwitchedOff | None
) -> GateSite:
    tensors, grid = record.tensors, record.grid
    value, gate = _map(tensors.value, tensors.value, grid), _map(record.gate, tensors.value, grid)
    output = _map(tensors.output, tensors.value, grid)
    if value is None or gate is None or output is None or output.shape != value.shape:
        raise UnshowableError(
            f"its gate {tuple(record.gate.shape)} on features {tuple(tensors.value.shape)} is no "
            "map of channels and positions of one image"
        )
    scores = _map(_shaped_like(tensors.scores, record.gate), tensors.value, grid)
    query, key = (_map(x, x, grid) for x in (tensors.query, tensors.key))
    comparable = (
        query is not None
        and key is not None
        and query.shape == key.shape == (len(query), *value.shape[1:])
    )
    return GateSite(
        name,
        record.provenance,
        grid,
        gate=gate,
        value=value,
        output=output,
        scores=scores,
        sigma=None if scores is None else _sigma(scores, gate),
        query=query if comparable else None,
        key=key if comparable else None,
        features=features,
        off=off,
    )


def _shaped_like(scores: Tensor | None, gate: Tensor) -> Tensor | None:
    """Return the scores in the gate's shape, or None where there is not one for each gate."""
    return (
        scores.reshape(gate.shape)
        if scores is not None and scores.numel() == gate.numel()
        else None
    )


def _map(tensor: Tensor | None, features: Tensor | None, grid: Grid | None) -> Array | None:
    """Return (channel, row, col), each its own length or 1, of what goes with `features`."""
    if tensor is None or features is None or features.shape[0] != 1:
        return None
    tensor = tensor[(None,) * (features.ndim - tensor.ndim)]
    if features.ndim == 2:
        return _array(tensor[0, :, None, None])
    if features.ndim == 3 and grid is not None and features.shape[1] == grid.tokens:
        tokens = tensor[0].mT
        return _array(tokens[..., None] if tokens.shape[-1] == 1 else grid.to_map(tokens))
    if features.ndim == 4:
        return _array(tensor[0])
    if features.ndim == 5:
        # Branches (selective kernel) are listed like channels.
        lead = features.shape[1:3] if tensor.shape[1] > 1 or tensor.shape[2] > 1 else (1, 1)
        return _array(tensor[0].expand(*lead, -1, -1).flatten(0, 1))
    return None


def _sigma(scores: Array, gate: Array) -> Sigma | None:
    """Return which function of the scores the gate is, told by its values."""
    given, wanted = torch.from_numpy(scores).double(), torch.from_numpy(gate).double()
    for name, function in _SIGMAS.items():
        if torch.allclose(function(given), wanted, rtol=1e-3, atol=1e-6):
            return name
    return None


def _array(tensor: Tensor) -> Array:
    return tensor.detach().cpu().float().numpy()
