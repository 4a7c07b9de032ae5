"""Walks made of plain random arrays: no model runs, so that what is tested is the drawing."""

import numpy as np

from regard.core.grid import Grid
from regard.core.pipeline import GateSite, SwitchedOff, TokenSite, Walk

LABELS = ("cat", "dog", "</script><b>bird</b>", "ship")


def tokens(cells=4, heads=2, d=5, prefix=0, *, seed=0, bias=False, dense=False, off=None):
    random = np.random.default_rng(seed)
    count = cells * cells + prefix
    grid = Grid(cells, cells, prefix, (8.0, 8.0))
    query, key, value = (random.normal(size=(heads, count, d)) * 2 for _ in range(3))
    site = TokenSite(
        "layer.attention", "recomputed", grid, grid, query=query, key=key, scale=d**-0.5,
        bias=random.normal(size=(heads, count, count)) if bias else None,
    )  # fmt: skip
    weights = np.array([[site.row(h, q) for q in range(count)] for h in range(heads)])
    return TokenSite(
        "layer.attention", "recomputed", grid, grid, query=query, key=key, value=value,
        output=weights @ value, scale=d**-0.5, bias=site.bias, weights=weights if dense else None,
        features=random.normal(size=(7, cells, cells)), off=off,
    )  # fmt: skip


def gate(over="channels", *, off=None, cells=4):
    random = np.random.default_rng(1)
    value = random.normal(size=(6, cells, cells))
    scores = random.normal(size=(6, 1, 1) if over == "channels" else (1, cells, cells))
    gates = 1 / (1 + np.exp(-scores))
    return GateSite(
        f"gate.{over}", "exact", Grid(cells, cells, 0, (8.0, 8.0)), gate=gates, value=value,
        output=gates * value, scores=scores, sigma="sigmoid", features=value, off=off,
    )  # fmt: skip


def walk(*sites, size=32, head=True, answer="classes"):
    random = np.random.default_rng(2)
    on, without = np.array([0.7, 0.2, 0.06, 0.04]), np.array([0.3, 0.5, 0.1, 0.1])
    off = SwitchedOff(without, "all the same") if head else None
    return Walk(
        model="model", image="picture.png",
        picture=random.integers(0, 256, (size, size, 3), dtype=np.uint8),
        labels=LABELS if head else (), probabilities=on if head else None, sites=sites, off=off,
        left_out=("blocks.0: too large",), answer=answer,
    )  # fmt: skip


OFF = SwitchedOff(np.array([0.3, 0.5, 0.1, 0.1]), "every query gives every key the same weight.")

KINDS = {
    "tokens": lambda: walk(tokens(off=OFF)),
    "prefix and bias": lambda: walk(tokens(prefix=2, bias=True, off=OFF)),
    "weights only": lambda: walk(tokens(dense=True, off=OFF)),
    "channel gate": lambda: walk(gate("channels", off=OFF)),
    "position gate": lambda: walk(gate("positions", off=OFF)),
    "pixels": lambda: walk(gate("positions", off=OFF), answer="pixels"),
    "boxes": lambda: walk(tokens(off=OFF), answer="boxes"),
    "no class head": lambda: walk(tokens(), head=False),
}
