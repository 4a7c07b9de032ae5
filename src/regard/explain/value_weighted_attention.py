"""Attention weighted by how long the values are that it fetches.

Kobayashi, Kuribayashi, Yokoi & Inui 2020, "Attention is Not Only a Weight: Analyzing Transformers
with Vector Norms" (arXiv 2004.10102), section 3: what key j brings to query i is the vector
α_ij f(x_j), and its length is what counts: a key that is attended to and has a short value brings
nothing. There f includes the share of the output projection that belongs to the head; we take the
values as the attention weighs them, before that projection, which a model may not have. Of several
heads, and of all queries where no single one is asked for, the mean of the lengths.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from regard.core.operator import AttentionOperator, Query
from regard.core.precision import at_least_single
from regard.core.rowwise import RowwiseOperator
from regard.explain.attention_row import chosen_site, row_of
from regard.explain.attention_sites import on_map
from regard.explain.explainer import Maps, register
from regard.explain.layer import Site
from regard.explain.targets import Score


@dataclass(frozen=True)
class KeyWeighted(RowwiseOperator):
    """An operator whose columns are multiplied with one number each.

    Attributes:
        operator: any.
        weights: of the keys.

    """

    operator: AttentionOperator
    weights: Float[Tensor, "batch head key 1"]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, heads, query, key)."""
        return self.operator.shape

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.operator.device

    def rows(self, query: Query) -> Float[Tensor, "batch head some key"]:
        """Return rows A[query, :]."""
        return self.operator.rows(query) * self.weights.mT

    def matvec(
        self, values: Float[Tensor, "batch head key d"]
    ) -> Float[Tensor, "batch head query d"]:
        """Return A @ values."""
        return self.operator.matvec(values * self.weights)

    def rmatvec(
        self, relevance: Float[Tensor, "batch head query d"]
    ) -> Float[Tensor, "batch head key d"]:
        """Return Aᵀ @ relevance."""
        return self.operator.rmatvec(relevance) * self.weights


@register(
    "value_weighted_attention",
    family="attention",
    answers="What does a token really fetch: from where do weight and value together bring most?",
    paper="Kobayashi et al., 2020",
    arxiv="2004.10102",
    examples=({"query": 1, "head": 0},),
    class_specific=False,
)
def value_weighted_attention(
    model: nn.Module,
    images: Tensor,
    score: Score,
    *,
    site: Site = "auto",
    query: int | None = None,
    head: int | None = None,
) -> Maps:
    """Return the length of what each key brings to one query: (batch, row, col), from 0 on.

    One forward pass. In the units of the model's values.

    Args:
        model: in eval mode.
        images: (batch, channel, height, width).
        score: not used: the map is the same for every target.
        site: as in `attention`.
        query: as in `attention`.
        head: None for the mean of all.

    Raises:
        InputError: no such site, query or head, or the keys could not be placed.

    """
    record, grid, chosen = chosen_site(model, images, site, keep="tensors")
    with torch.no_grad():
        lengths = at_least_single(record.tensors.value).norm(dim=-1, keepdim=True)
        lengths = lengths.expand(*record.operator.shape[:2], -1, -1)
        brought = replace(record, _operator=KeyWeighted(record.operator, lengths))
        values = row_of(brought.whole_operator, record, query, head)
    return Maps(
        on_map(grid, values),
        "positive",
        (record.site,),
        grid,
        provenance=record.provenance,
        chosen=chosen,
    )
