"""Twin of `regard.attention.attention_pool`: CLIP's pooling, Radford et al. 2021, sec. 2.4."""

from tests.reference.attention.attend import attend_in_heads, dense, positions_of
from tests.reference.attention.convolution import bilinear


def attention_pool(weights, x, query="mean", num_heads=4, size=None, **options):
    """x: (channel, height, width), one image."""
    mean = x.mean(axis=(1, 2))
    if size is not None:
        x = x + bilinear(weights["positions"], *x.shape[1:])
    tokens = [x[:, i, j] for i, j in positions_of(x)]
    if query == "learned":
        seed = weights["seed"]
    else:
        seed = mean if size is None else mean + weights["mean_position"]
        tokens = [seed, *tokens]
    keys = [dense(weights, "key", token) for token in tokens]
    values = [dense(weights, "value", token) for token in tokens]
    pooled = attend_in_heads(dense(weights, "query", seed), keys, values, num_heads)
    return dense(weights, "project", pooled)
