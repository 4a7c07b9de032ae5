"""Attention by a fused kernel, which forms no weights: they are recomputed when asked for."""

from dataclasses import replace
from math import sqrt

from torch import Tensor

from regard.capture.contraction import heads_axis
from regard.capture.layout import Folded, Shared
from regard.capture.observer import Call, Observer
from regard.capture.sighting import Sighting, parts_of


def fused(observer: Observer, call: Call) -> None:
    """Record a call of `scaled_dot_product_attention`."""
    site, output = observer.wanted_site(), call.output
    query, key = call.argument(0, "query"), call.argument(1, "key")
    if site is None or output is None:
        return
    value, mask = call.argument(2, "value"), call.argument(3, "attn_mask")
    scale = call.argument(6, "scale")
    grouped = call.argument(7, "enable_gqa", default=False)
    hint = observer.heads_hint()
    # Folded counts from the end of the whole tensor, behind whose batch come rows and columns.
    fold = Folded(hint if query.dim() == 3 else 1, heads_axis(query.shape[:-2], hint) - 2)
    shared = replace(fold, repeat=query.shape[-3] // key.shape[-3]) if grouped else fold
    hold = observer.keeper.hold
    dropped = call.argument(4, "dropout_p", default=0.0) > 0
    observer.add(
        Sighting(
            site=site,
            kind="softmax",
            form="fused",
            provenance="approximate" if dropped else "recomputed",
            call=observer.next_call(site),
            running=observer.modules.running,
            maps=observer.modules.maps,
            parts=parts_of(
                query=(hold(query), fold),
                key=(hold(key), shared),
                value=(hold(value), shared),
                output=(hold(output), fold),
                mask=None if mask is None else (hold(mask), _mask_layout(mask, query, fold)),
            ),
            scale=1 / sqrt(query.shape[-1]) if scale is None else float(scale),
            causal=bool(call.argument(5, "is_causal", default=False)),
        )
    )


def flexible(observer: Observer, call: Call) -> None:
    """Record a call of `flex_attention`, as its higher-order operator sees it."""
    site, result = observer.wanted_site(), call.result
    if site is None or not isinstance(result, tuple):
        return
    query, key, value, modify, block_mask, scale = call.args[:6]
    shared = Shared(query.shape[0], query.shape[1])
    hold = observer.keeper.hold
    observer.add(
        Sighting(
            site=site,
            kind="softmax",
            form="flex",
            provenance="recomputed",
            call=observer.next_call(site),
            running=observer.modules.running,
            maps=observer.modules.maps,
            parts=parts_of(
                query=(hold(query), None),
                key=(hold(key), shared),
                value=(hold(value), shared),
                output=(hold(result[0]), None),
            ),
            scale=float(scale),
            functions=(modify, block_mask[-1]),
        )
    )


def _mask_layout(mask: Tensor, query: Tensor, fold: Folded) -> Folded | None:
    """A mask for each head broadcasts as it is; one folded like the queries is unfolded."""
    return fold if mask.dim() == query.dim() and mask.dim() != 4 else None
