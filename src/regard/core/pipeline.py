"""What a walk keeps of the pipeline, image to prediction: plain arrays, drawable anywhere."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from regard.core.errors import InputError
from regard.core.grid import Grid
from regard.core.record import Provenance

Array = NDArray[np.floating]
Sigma = Literal["softmax over positions", "sigmoid", "hard sigmoid", "relu", "tanh"]


Answer = Literal["classes", "pixels", "boxes"]
"""What a model tells of an image."""

OF_WHAT: dict[Answer, str] = {
    "classes": "",
    "pixels": " of the pixels",
    "boxes": " for its surest box",
}
"""What follows the number of a class, in words."""


@dataclass(frozen=True)
class SwitchedOff:
    """What the model predicts with attention switched off at one site, or at all of them.

    Attributes:
        probabilities: (class,), as of the walk.
        meaning: what was put in attention's place, one sentence.

    """

    probabilities: Array
    meaning: str


@dataclass(frozen=True)
class TokenSite:
    """A site where tokens attend to tokens, for one image.

    Rows come from `query` and `key` (softmax of their scaled products plus `bias`), or, where the
    weights are not made that way, from `weights`.

    Attributes:
        name: the site's name, with the call's number where there were several.
        provenance: of the weights, as in the record.
        query_grid: where the queries lie on the input, or None.
        key_grid: where the keys lie on the input, or None.
        query: (head, query, d), or None.
        key: (head, key, d), or None.
        value: (head, key, channel), or None where it was not seen.
        output: the weighted features, (head, query, channel), or None where they were not seen.
        weights: (head, query, key), where query and key do not give them; else None.
        bias: added to the scores, (1 or head, 1 or query, key); -inf hides a key. None: nothing.
        scale: what the products of query and key are multiplied with.
        features: what the site's module was given, (channel, row, col) on `key_grid`, or None.
        off: the prediction with this site switched off, or None without a prediction.
        groups: how many sets of tokens attend each within itself (windows, rows, columns); heads
            are listed group by group.

    """

    name: str
    provenance: Provenance
    query_grid: Grid | None
    key_grid: Grid | None
    query: Array | None = None
    key: Array | None = None
    value: Array | None = None
    output: Array | None = None
    weights: Array | None = None
    bias: Array | None = None
    scale: float = 1.0
    features: Array | None = None
    off: SwitchedOff | None = None
    groups: int = 1

    def __post_init__(self) -> None:
        if self.weights is None and (self.query is None or self.key is None):
            raise InputError(f"site {self.name!r} needs query and key, or weights; it has neither")

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """(head, query, key)."""
        if self.weights is not None:
            heads, queries, keys = self.weights.shape
            return heads, queries, keys
        queries, keys = self._query_and_key()
        return queries.shape[0], queries.shape[1], keys.shape[1]

    def head_name(self, head: int) -> str:
        """Return what a head is called, counted from 1."""
        if self.groups == 1:
            return f"head {head + 1}"
        group, head = divmod(head, self.shape[0] // self.groups)
        return f"group {group + 1}, head {head + 1}"

    def scores(self, head: int, query: int) -> Array | None:
        """Return what goes into the softmax for one query, (key,); None without a softmax."""
        return None if self.weights is not None else self._scores(head, query)

    def row(self, head: int, query: int) -> Array:
        """Return the weights of one query, (key,)."""
        if self.weights is not None:
            return self.weights[head, query].astype(np.float64)
        scores = self._scores(head, query)
        exponentials = np.exp(scores - scores.max())
        return exponentials / exponentials.sum()

    def entropies(self, head: int) -> Array:
        """Return the entropy of each query's row in nats, (query,); at most log(keys)."""
        queries = self.shape[1]
        return np.array([entropy(self.row(head, query)) for query in range(queries)])

    def _query_and_key(self) -> tuple[Array, Array]:
        if self.query is None or self.key is None:
            raise InputError(f"site {self.name!r} keeps weights, not query and key")
        return self.query, self.key

    def _scores(self, head: int, query: int) -> Array:
        queries, keys = self._query_and_key()
        products = keys[head].astype(np.float64) @ queries[head, query].astype(np.float64)
        return products * self.scale + self._bias_of(head, query)

    def _bias_of(self, head: int, query: int) -> Array | float:
        if self.bias is None:
            return 0.0
        heads, queries, _ = self.bias.shape
        return self.bias[head if heads > 1 else 0, query if queries > 1 else 0].astype(np.float64)


@dataclass(frozen=True)
class GateSite:
    """A site where features are multiplied in place by a gate, for one image.

    Attributes:
        name: the site's name, with the call's number where there were several.
        provenance: of the gate, as in the record.
        grid: where the positions lie on the input, or None.
        gate: (1 or channel, 1 or row, 1 or col), what the features are multiplied with.
        value: the features before, (channel, row, col).
        output: the features after, (channel, row, col).
        scores: what went into σ, shaped like `gate`, or None where it was not seen.
        sigma: the function that turns `scores` into `gate`, or None where it is not known.
        query: (channel, row, col), where the scores come from a product; else None.
        key: likewise.
        features: what the site's module was given, (channel, row, col), or None.
        off: the prediction with this site switched off, or None without a prediction.

    """

    name: str
    provenance: Provenance
    grid: Grid | None
    gate: Array
    value: Array
    output: Array
    scores: Array | None = None
    sigma: Sigma | None = None
    query: Array | None = None
    key: Array | None = None
    features: Array | None = None
    off: SwitchedOff | None = None

    @property
    def varies_over_channels(self) -> bool:
        """Whether different channels get different gates."""
        return self.gate.shape[0] > 1

    @property
    def varies_over_positions(self) -> bool:
        """Whether different positions get different gates."""
        return self.gate.shape[1] > 1 or self.gate.shape[2] > 1


@dataclass(frozen=True)
class Walk:
    """The pipeline of one model on one image.

    Attributes:
        model: what the model is called.
        image: what the image is called.
        picture: what the model saw, before its normalisation: RGB bytes, (height, width, 3).
        labels: the class names; empty where the model tells of no classes.
        probabilities: (class,), or None where the model tells of no classes; what they are is said
            by `answer`.
        sites: in the order of the forward pass.
        off: the prediction with every site switched off, or None.
        left_out: what could not be shown and why, one sentence each.
        answer: what there is of each class: of `classes` the probability, of `pixels` the share of
            the image that it has, of `boxes` the score of its surest one.

    """

    model: str
    image: str
    picture: NDArray[np.uint8]
    labels: tuple[str, ...]
    probabilities: Array | None
    sites: tuple[TokenSite | GateSite, ...]
    off: SwitchedOff | None = None
    left_out: tuple[str, ...] = ()
    answer: Answer = "classes"


def entropy(weights: Array) -> float:
    """Return the entropy of a distribution in nats."""
    positive = weights[weights > 0].astype(np.float64)
    return float(-(positive * np.log(positive)).sum())
