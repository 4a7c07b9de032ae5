"""Fused kernels that also return the logsumexp of the scores, and what can be had from them.

`scaled_dot_product_attention` keeps the logsumexp of every row to itself; the kernels below it
return it. PyTorch takes it for a constant when it differentiates, so that all this is for use
without gradients only.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

# The kernels want rows whose length in memory is a multiple of 16 bytes.
_ALIGNMENT = 8

Kernel = Callable[[Tensor, Tensor, Tensor, float, bool], tuple[Tensor, Tensor]]


def _on_cpu(
    query: Tensor, key: Tensor, value: Tensor, scale: float, causal: bool
) -> tuple[Tensor, Tensor]:
    output, logsumexp, *_ = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, causal, scale=scale
    )
    return output, logsumexp


def _on_cuda(
    query: Tensor, key: Tensor, value: Tensor, scale: float, causal: bool
) -> tuple[Tensor, Tensor]:
    output, logsumexp, *_ = torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, None, True, 0.0, causal, scale=scale
    )
    return output, logsumexp[..., : query.shape[-2]]  # the kernel rounds the rows up to 32


KERNELS: dict[str, Kernel] = {"cpu": _on_cpu, "cuda": _on_cuda}
"""(query, key, value, scale, causal) → output and logsumexp (batch, heads, query), by device."""


def padded(tensor: Tensor, width: int) -> Tensor:
    """Return (…, d) with zeros appended up to `width`; in queries and keys they add nothing."""
    return F.pad(tensor, (0, width - tensor.shape[-1])) if tensor.shape[-1] < width else tensor


def aligned_width(*widths: int) -> int:
    """Return the width that all of some tensors can be padded to for a kernel."""
    return -(-max(widths) // _ALIGNMENT) * _ALIGNMENT


def transposed_product(
    query: Tensor, key: Tensor, relevance: Tensor, *, scale: float, causal: bool = False
) -> Tensor:
    """Return Aᵀ @ relevance through two fused calls, for A = softmax(scale · query · keyᵀ).

    With L_i the logsumexp of row i, A_ij = exp(s_ij − L_i). Keys that ask queries with the scores
    s_ij − L_i get the weights A_ij / Z_j with Z_j = Σ_i A_ij, whose logarithm the kernel returns:
    Aᵀr is Z times what they receive. −L_i enters as one more feature of the queries, which is 1 in
    the keys.

    Args:
        query: (batch, heads, query, d).
        key: (batch, heads, key, d).
        relevance: (batch, heads, query, width).
        scale: of the scores.
        causal: True if query i sees only keys 0 … i; there must be as many queries as keys.

    """
    kernel = KERNELS[query.device.type]
    key = _centred(key) * scale
    ones = torch.ones_like(key[..., :1])
    asked = torch.cat([query, -_logsumexp(query, key, causal).unsqueeze(-1)], -1)
    asking = torch.cat([key, ones], -1)
    if causal:  # backwards, "key j is seen by the queries from j on" is causal again
        asked, asking, relevance = asked.flip(-2), asking.flip(-2), relevance.flip(-2)
    width = aligned_width(asked.shape[-1], relevance.shape[-1])
    asked, asking, given = (padded(x, width) for x in (asked, asking, relevance))
    received, log_total = kernel(asking, asked, given, 1.0, causal)
    product = received[..., : relevance.shape[-1]] * log_total.exp().unsqueeze(-1)
    return product.flip(-2) if causal else product


def _centred(key: Tensor) -> Tensor:
    """Subtract the mean key: it adds the same to all scores of a row, and only costs digits."""
    return key - key.mean(-2, keepdim=True)


def _logsumexp(query: Tensor, key: Tensor, causal: bool) -> Tensor:
    width = aligned_width(query.shape[-1])
    query, key = padded(query, width), padded(key, width)
    return KERNELS[query.device.type](query, key, key, 1.0, causal)[1]


def entropy(query: Tensor, key: Tensor, *, scale: float, causal: bool = False) -> Tensor:
    """Return the entropy of every row in nats, through one fused call: (batch, heads, query).

    −Σ_j A_ij log A_ij = L_i − Σ_j A_ij s_ij, and the expected score is that of the expected key.
    The difference is as exact as the scores are: to about 1e-7 of the largest in float32.
    """
    key = _centred(key) * scale
    width = aligned_width(query.shape[-1])
    query, key = padded(query, width), padded(key, width)
    expected, logsumexp = KERNELS[query.device.type](query, key, key, 1.0, causal)
    return (logsumexp - (query * expected).sum(-1)).clamp_min(0.0)
