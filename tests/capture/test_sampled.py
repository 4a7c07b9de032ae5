"""Sampled attention: the sparse operator equals the paper's formula in loops."""

import itertools

import numpy as np
import pytest
import torch
from tests.core.operator_contract import check_operator
from tests.reference.capture import sampled_attention as twin
from torch import nn
from torch.nn import functional as F

from regard.capture import capture

B, H, D, Q, P = 2, 3, 4, 5, 2
SIZES = [(4, 3), (2, 2), (1, 3)]
S, L = sum(h * w for h, w in SIZES), len(SIZES)


class Deformable(nn.Module):
    """As Deformable DETR and its descendants write it."""

    n_heads = H

    def __init__(self, join, **options):
        super().__init__()
        self.join, self.options = join, options

    def forward(self, value, locations, scores):
        strengths = F.softmax(scores.flatten(3), -1)
        maps = value.split([h * w for h, w in SIZES], 1)
        grids, samples = 2 * locations - 1, []
        for level, (rows, cols) in enumerate(SIZES):
            features = maps[level].flatten(2).transpose(1, 2).reshape(B * H, D, rows, cols)
            grid = grids[:, :, :, level].transpose(1, 2).flatten(0, 1)
            samples.append(
                F.grid_sample(features, grid, **{"align_corners": False, **self.options})
            )
        return self.join(samples, strengths.transpose(1, 2)).view(B, H * D, Q).transpose(1, 2)


def stacked(samples, strengths):
    weights = strengths.reshape(B * H, 1, Q, L * P)
    return (torch.stack(samples, dim=-2).flatten(-2) * weights).sum(-1)


def concatenated(samples, strengths):
    weights = strengths.reshape(B * H, 1, Q, L * P)
    return (weights * torch.concat(samples, dim=-1)).sum(dim=-1)


def points_outside(samples, strengths):
    weights = strengths.reshape(B * H, 1, Q, L, P).transpose(-1, -2)
    return (torch.stack(samples, -1) * weights).sum((-1, -2))


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(B, S, H, D, generator=generator, dtype=torch.float64)
    # Some samples lie outside.
    locations = torch.rand(B, Q, H, L, P, 2, generator=generator, dtype=torch.float64) * 1.4 - 0.2
    scores = torch.randn(B, Q, H, L, P, generator=generator, dtype=torch.float64)
    return value, locations, scores


@pytest.mark.parametrize("join", [stacked, concatenated, points_outside])
@pytest.mark.parametrize("keep", ["tensors", "operators"])
def test_operator_equals_the_twin(join, keep, inputs):
    model = Deformable(join)
    with capture(model, keep=keep) as seen:
        output = model(*inputs)
    assert torch.equal(output, model(*inputs))
    (record,) = seen.calls("Deformable")
    assert record.kind == "sampled"
    value, locations, scores = inputs
    strengths = scores.flatten(3).softmax(-1).unflatten(3, (L, P)).numpy()
    expected = np.stack(
        [
            [twin.weights(SIZES, locations[b, :, h].numpy(), strengths[b, :, h]) for h in range(H)]
            for b in range(B)
        ]
    )
    operator = record.operator
    np.testing.assert_allclose(operator.dense().numpy(), expected, atol=1e-12)
    check_operator(operator, seed=0)
    values, mixed = value.transpose(1, 2), output.unflatten(2, (H, D)).transpose(1, 2)
    torch.testing.assert_close(operator.matvec(values), mixed)
    if keep == "tensors":
        assert seen.verify()["Deformable"] < 1e-12
        torch.testing.assert_close(record.tensors.value, values)


@pytest.mark.parametrize(
    ("mode", "padding", "align"),
    list(
        itertools.product(("bilinear", "nearest"), ("zeros", "border", "reflection"), (True, False))
    ),
)
def test_every_option_of_grid_sample(mode, padding, align, inputs):
    model = Deformable(stacked, mode=mode, padding_mode=padding, align_corners=align)
    with capture(model) as seen:
        model(*inputs)
    assert seen.verify()["Deformable"] < 1e-12


def test_locations_are_where_the_samples_were_taken(inputs):
    """(row, col) in fractions of the map, whichever way the model counts."""
    _, locations, scores = inputs
    model = Deformable(points_outside)
    with capture(model) as seen:
        model(*inputs)
    tensors = seen["Deformable"].tensors
    expected = locations.transpose(1, 2).flatten(3, 4).flip(-1)
    torch.testing.assert_close(tensors.locations, expected)
    torch.testing.assert_close(
        tensors.weights, scores.flatten(3).softmax(-1).transpose(1, 2), rtol=0, atol=1e-12
    )


def test_gradients_flow_to_places_and_scores(inputs):
    value, locations, scores = (x.clone().requires_grad_() for x in inputs)
    model = Deformable(stacked)
    with capture(model) as seen:
        output = model(value, locations, scores)
    again = seen["Deformable"].operator.matvec(value.transpose(1, 2))
    inputs = (value, locations, scores)
    wanted = torch.autograd.grad(output.square().sum(), inputs, retain_graph=True)
    got = torch.autograd.grad(again.square().sum(), inputs)
    for a, b in zip(wanted, got, strict=True):
        torch.testing.assert_close(a, b)


def test_a_size_that_scales_offsets_is_no_gate(inputs):
    """Boxes are the sigmoid of something; that they multiply offsets is not attention."""

    class Boxes(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = Deformable(stacked)

        def forward(self, value, offsets, scores, boxes):
            boxes = boxes.sigmoid()
            centre, size = boxes[:, :, None, None, None, :2], boxes[:, :, None, None, None, 2:]
            return self.attn(value, centre + offsets / P * size * 0.5, scores)

    with capture(model := Boxes()) as seen:
        model(*inputs, torch.randn(B, Q, 4, dtype=torch.float64))
    assert [(site, record.kind) for site, record in seen.items()] == [("attn", "sampled")]


def test_samples_that_nothing_weighs_are_not_attention():
    class Crop(nn.Module):
        def forward(self, x, grid):
            crop = F.grid_sample(x, grid, align_corners=False)
            weights = (crop.flatten(2).mT @ crop.flatten(2)).softmax(-1)
            return (crop * 2).sum(-1), weights @ crop.flatten(2).mT

    with capture(model := Crop()) as seen:
        model(torch.randn(1, 2, 3, 3), torch.rand(1, 4, 4, 2))
    assert [record.kind for record in seen.values()] == ["softmax"]
