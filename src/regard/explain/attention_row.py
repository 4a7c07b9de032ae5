"""Raw attention: what a token of one site attends to.

The weights of Vaswani et al. 2017, "Attention Is All You Need" (arXiv 1706.03762), section 3.2.1,
as they are: rows of softmax(QKᵀ/√d). Of several heads, and of all queries where no single one is
asked for, the mean.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.capture.sighting import Keep
from regard.core.errors import InputError
from regard.core.grid import NO_PLACE, Grid
from regard.core.operator import AttentionOperator
from regard.core.record import AttentionRecord
from regard.explain.attention_sites import attention_of, on_map
from regard.explain.explainer import Maps, register
from regard.explain.layer import Site
from regard.explain.targets import Score
from regard.explain.token_flow import class_token, whole

# Keys that lie in fewer cells show nothing.
_FEWEST_CELLS = 4


@register(
    "attention",
    family="attention",
    answers="What does the class token, or any other token, attend to at one site?",
    paper="Vaswani et al., 2017",
    arxiv="1706.03762",
    examples=({"query": 1, "head": 0},),
    class_specific=False,
)
def attention(
    model: nn.Module,
    images: Tensor,
    score: Score,
    *,
    site: Site = "auto",
    query: int | None = None,
    head: int | None = None,
) -> Maps:
    """Return the weights of one query on the keys of one site: (batch, row, col).

    Keys without a place are left out, so that the map may sum to less than 1. One forward pass.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: not used: attention is the same for every target.
        site: `auto` for the last softmax site whose keys lie on the image; else the last that
            matches a name or glob, or is in a module.
        query: token, or cell where the site has windows; None for the class token, or the mean
            over all queries where there is none.
        head: None for the mean of all.

    Raises:
        InputError: no such site, query or head, or the keys could not be placed.

    """
    record, grid, chosen = chosen_site(model, images, site)
    operator = record.whole_operator
    with torch.no_grad():
        values = row_of(operator, record, query, head)
    return Maps(
        on_map(grid, values),
        "distribution",
        (record.site,),
        grid,
        keys=operator.shape[3],
        provenance=record.provenance,
        chosen=chosen,
    )


def chosen_site(
    model: nn.Module, images: Tensor, site: Site, *, keep: Keep = "operators"
) -> tuple[AttentionRecord, Grid, tuple[str, ...]]:
    """Run the model; return the record of a site, where its keys lie, and why it was chosen.

    Windows are taken together to the whole image.

    Raises:
        InputError: there is no such site, or its keys could not be placed.

    """
    records = attention_of(model, images, site, keep=keep)
    if site != "auto":
        grid = _grid_of_keys(records[-1])
        if grid is None:
            raise InputError(
                f"the keys of site {records[-1].site!r} could not be placed on the image; choose "
                "another site="
            )
        return records[-1], grid, ()
    for record in reversed(records):
        grid = _grid_of_keys(record) if record.kind == "softmax" else None
        if grid is not None and grid.cells >= _FEWEST_CELLS:
            why = f"site {record.site}, the last softmax attention whose keys lie on the image"
            return record, grid, (why,)
    raise InputError(
        f"{type(model).__name__} has no softmax attention whose keys lie on the image; give site="
    )


def _grid_of_keys(record: AttentionRecord) -> Grid | None:
    """Return where the keys lie on the image; None if that is not known."""
    grid = record.key_grid
    if grid is None or (grid.groups > 1 and record.query_grid is None):
        return None
    return whole(grid)


def row_of(
    operator: AttentionOperator, record: AttentionRecord, query: int | None, head: int | None
) -> Float[Tensor, "batch key"]:
    """Return one row of an operator, or the mean of all.

    Args:
        operator: over the whole image, of a record.
        record: says where the queries lie.
        query: None for the class token, or the mean over all queries where there is none.
        head: None for the mean of all.

    Raises:
        InputError: no such query or head.

    """
    batch, heads, queries, _ = operator.shape
    if head is not None and not 0 <= head < heads:
        raise InputError(f"head {head} does not exist: site {record.site!r} has {heads} heads")
    if query is None:
        query = _asking(record)
    if query is None:
        even = torch.full((1, 1, 1, 1), 1 / queries, device=operator.device)
        rows = operator.rmatvec(even.expand(batch, heads, queries, 1))[..., 0]
    else:
        rows = operator.rows(query)[:, :, 0]
    return rows.mean(1) if head is None else rows[:, head]


def _asking(record: AttentionRecord) -> int | None:
    """Return the class token: the first without a place, if others have one or there is no other.

    Object queries all have no place, and are no class token.
    """
    grid = record.query_grid
    if grid is None or grid.groups > 1:
        return None
    alone = grid.tokens == 1 or (grid.table != NO_PLACE).any()
    return class_token(grid) if alone else None
