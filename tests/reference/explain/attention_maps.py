"""Twins of the attention methods: explicit matrices in float64, from the papers' equations.

The gradient of attention comes from autograd, through weights that the model forms in the open.
"""

import copy
import math

import numpy as np
import torch


def in_the_open(model, images, classes):
    """Run a timm model in float64 and unfused; return what its attention dropouts were given.

    Returns:
        For each layer: (weights, gradient of the classes' logits with respect to them), both
        (batch, head, query, key).

    """
    model = copy.deepcopy(model).double().requires_grad_(requires_grad=False)
    seen = []

    def keep(_module, _args, weights):
        seen.append(weights)

    for module in model.modules():
        if hasattr(module, "attn_drop"):
            module.fused_attn = False
            module.attn_drop.register_forward_hook(keep)
    output = model(images.double().requires_grad_())
    total = sum(output[image, number] for image, number in enumerate(classes))
    gradients = torch.autograd.grad(total, seen)
    return [(w.detach().numpy(), g.numpy()) for w, g in zip(seen, gradients, strict=True)]


def multi_head_in_the_open(model, images, score):
    """Run a model of `nn.MultiheadAttention` likewise, with the layer written out.

    Args:
        model: any, its layers batch first.
        images: (batch, channel, row, col).
        score: from the model's output to a number.

    """
    model = copy.deepcopy(model).double()
    seen = []

    def written_out(layer):
        def forward(query, key, value, **_options):
            parts = zip(
                (query, key, value),
                layer.in_proj_weight.chunk(3),
                layer.in_proj_bias.chunk(3),
                strict=True,
            )
            q, k, v = (
                (x @ w.mT + b).unflatten(2, (layer.num_heads, -1)).transpose(1, 2)
                for x, w, b in parts
            )
            weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
            seen.append(weights)
            mixed = (weights @ v).transpose(1, 2).flatten(2)
            return mixed @ layer.out_proj.weight.mT + layer.out_proj.bias, None

        return forward

    for module in model.modules():
        if isinstance(module, torch.nn.MultiheadAttention):
            module.forward = written_out(module)
    total = score(model(images.double().requires_grad_()))
    gradients = torch.autograd.grad(total, seen)
    return [(w.detach().numpy(), g.numpy()) for w, g in zip(seen, gradients, strict=True)]


def weighted_by_gradient(weights, gradient):
    """Chefer et al. 2021, equation 5: Ā_ij = 1/H Σ_h max(∇A_hij · A_hij, 0)."""
    heads, n, m = weights.shape
    result = np.zeros((n, m))
    for h, i, j in np.ndindex(heads, n, m):
        result[i, j] += max(gradient[h, i, j] * weights[h, i, j], 0.0) / heads
    return result


def relevance(layers):
    """Chefer et al. 2021, equation 6, from R = 1: R ← R + Ā·R for each layer.

    Args:
        layers: first to last, each (Ā, pool, shortcut): what every key and every query is made of,
            as matrices over the tokens before; None for the tokens themselves.

    Returns:
        R − 1, where 1 stands for what the shortcuts carry alone.

    """
    whole = alone = None
    for attention, pool, shortcut in layers:
        pool = np.eye(attention.shape[1]) if pool is None else pool
        shortcut = np.eye(attention.shape[0]) if shortcut is None else shortcut
        if whole is None:
            whole = alone = np.eye(pool.shape[1])
        whole = shortcut @ whole + attention @ pool @ whole
        alone = shortcut @ alone
    return whole - alone


def of_object_queries(encoder, decoder):
    """Chefer et al. 2021, equations 6 to 10: R_qi for an encoder of images and a decoder.

    Args:
        encoder: Ā of each layer.
        decoder: Ā of each layer of the queries: square on each other, else on the image.

    """
    tokens = encoder[0].shape[0]
    queries = decoder[0].shape[0]
    of_image, of_queries = np.eye(tokens), np.eye(queries)
    on_image = np.zeros((queries, tokens))
    for attention in encoder:
        of_image = of_image + attention @ of_image
    for attention in decoder:
        if attention.shape[1] == queries:
            of_queries, on_image = (
                of_queries + attention @ of_queries,
                on_image + attention @ on_image,
            )
        else:
            on_image = on_image + _normalised(of_queries).T @ attention @ _normalised(of_image)
    return on_image


def _normalised(relevance):
    """Equations 8 and 9: R̄ = (R − 1) / its row sums + 1."""
    n = len(relevance)
    result = np.eye(n)
    for i in range(n):
        total = sum(relevance[i, k] - (i == k) for k in range(n))
        for j in range(n):
            if total:
                result[i, j] += (relevance[i, j] - (i == j)) / total
    return result


def row(weights, query=None, head=None):
    """One query's weights, (key,); the mean over heads, or queries, where none is named."""
    heads, n, m = weights.shape
    result = np.zeros(m)
    asking = range(n) if query is None else [query]
    attending = range(heads) if head is None else [head]
    for h in attending:
        for i in asking:
            for j in range(m):
                result[j] += weights[h, i, j] / len(asking) / len(attending)
    return result


def fetched(weights, values, query=None, head=None):
    """Kobayashi et al. 2020, section 3: ‖α_ij v_j‖, otherwise as `row`.

    Args:
        weights: (head, query, key).
        values: (head, key, d).
        query, head: None for the mean.

    """
    lengths = np.zeros_like(weights)
    for h, i, j in np.ndindex(*weights.shape):
        vector = [weights[h, i, j] * x for x in values[h, j]]
        lengths[h, i, j] = math.sqrt(sum(x * x for x in vector))
    return row(lengths, query, head)


def legrad(model, images, classes):
    """Bousselham et al. 2024, section 3, for a timm transformer that is cut off after each block.

    Returns:
        (image, key), the mean over layers of 1/(H n) Σ_h Σ_i max(∇A_hij, 0).

    """
    depth = len(model.blocks)
    result = 0.0
    for number in range(depth):
        shorter = copy.deepcopy(model)
        shorter.blocks = torch.nn.Sequential(*shorter.blocks[: number + 1])
        *_, (_, gradient) = in_the_open(shorter, images, classes)
        batch, heads, n, m = gradient.shape
        layer = np.zeros((batch, m))
        for b, h, i, j in np.ndindex(batch, heads, n, m):
            layer[b, j] += max(gradient[b, h, i, j], 0.0) / heads / n
        result = result + layer / depth
    return result
