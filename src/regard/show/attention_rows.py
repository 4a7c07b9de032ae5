"""Where each token attends, for a page: rows are made in the page, from packed queries and keys."""

from collections.abc import Callable, Sequence
from typing import Any

from regard.core.pipeline import Array, TokenSite
from regard.show.attention_overlay import overlay_scale
from regard.show.packing import pack, pack_channels, pack_coarsely
from regard.show.walk_data import data_size, deviation, token_site

Pack = Callable[[Array], dict[str, Any]]


def rows_data(sites: Sequence[TokenSite], budget: int) -> dict[str, Any]:
    """Return the sites for `viewer/rows.js`, as JSON values of about `budget` bytes at most.

    Queries and keys take less than their rows: at 37×37 cells and 64 channels, 230 thousand bytes a
    head in 8 bits instead of 1.9 million. They are kept in 16 bits where all of them fit, and in 8
    otherwise; rows that follow from no query and key are kept in 8. Sites are taken from the last
    to the first, and of each as many heads as fit; `leftOut` says what did not.
    """
    finely = _rows_data(sites, budget, pack)
    return _rows_data(sites, budget, pack_channels) if finely["missing"] else finely


def _rows_data(sites: Sequence[TokenSite], budget: int, pack_vectors: Pack) -> dict[str, Any]:
    kept: list[dict[str, Any]] = []
    left_out: list[str] = []
    missing = 0
    for site in reversed(sites):
        if site.query_grid is None or site.key_grid is None:
            left_out.append(f"{site.name}: where its tokens lie is not known")
            continue
        total, _, keys = site.shape
        part: dict[str, Any] = {"name": site.name, "provenance": site.provenance}
        part |= token_site(site) | {"peak": overlay_scale(keys).peak, "totalHeads": total}
        part["bits"] = 16 if pack_vectors is pack else 8
        left = budget - data_size(part)
        for head in range(total):
            carried = _head(site, head, pack_vectors)
            left -= data_size(carried) + 2
            if left < 0:
                break
            part["heads"].append(carried)
        lacking = total - len(part["heads"])
        if lacking < total:
            kept.append(part)
            budget -= data_size(part) + 2
        if lacking:
            missing += lacking
            left_out.append(f"{site.name}: {lacking} of its {total} heads do not fit")
    return {"sites": kept[::-1], "leftOut": left_out[::-1], "missing": missing}


def _head(site: TokenSite, head: int, pack_vectors: Pack) -> dict[str, Any]:
    part: dict[str, Any] = {"name": site.head_name(head)}
    if site.weights is not None:
        return part | {"weights": pack_coarsely(site.weights[head])}
    if site.query is not None and site.key is not None:
        part |= {name: pack_vectors(getattr(site, name)[head]) for name in ("query", "key")}
    if site.bias is not None and site.bias.shape[0] > 1:
        part["bias"] = pack(site.bias[head])
    return part | {"deviation": deviation(site, head, pack_vectors)}
