"""The feature pyramid against its twin, and its attention."""

import numpy as np
import pytest
import torch
from tests.reference.models import detection as twin

from regard.core.errors import InputError
from regard.core.seeding import seeded
from regard.models.detect.fpn import FeaturePyramid


def maps():
    random = torch.Generator().manual_seed(1)
    return [
        torch.randn(1, width, side, side, generator=random, dtype=torch.float64)
        for width, side in ((3, 8), (4, 4), (5, 2))
    ]


def pyramid(**options):
    with seeded(0):
        return FeaturePyramid((3, 4, 5), 6, **options).double()


def test_twin():
    neck = pyramid()
    weights = {name: tensor.detach().numpy() for name, tensor in neck.state_dict().items()}
    for bias in (name for name in weights if name.endswith("bias")):
        weights[bias][:] = np.linspace(-1, 1, len(weights[bias]))  # shared with the network
    expected = twin.pyramid(weights, [x[0].numpy() for x in maps()])
    for ours, theirs in zip(neck(maps()), expected, strict=True):
        np.testing.assert_allclose(ours[0].detach().numpy(), theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("upwards", [False, True])
def test_further_levels_are_half_as_large(upwards):
    sides = [x.shape[2] for x in pyramid(extra=2, upwards=upwards)(maps())]
    assert sides == [8, 4, 2, 1, 1]


def test_the_path_up_carries_the_finest_map_to_the_coarsest():
    features = maps()
    features[0].requires_grad_(True)
    for upwards in (False, True):
        coarsest = pyramid(upwards=upwards)(features)[-1]
        (gradient,) = torch.autograd.grad(coarsest.sum(), features[0], allow_unused=True)
        assert (gradient is not None and bool(gradient.any())) == upwards


def test_maps_that_are_not_half_as_large_are_merged():
    features = [torch.zeros(1, 3, 9, 7), torch.zeros(1, 4, 5, 4), torch.zeros(1, 5, 3, 2)]
    found = pyramid().float()(features)
    assert [tuple(x.shape[2:]) for x in found] == [(9, 7), (5, 4), (3, 2)]


def test_attention_of_the_neck_gets_the_coarser_map():
    neck = pyramid()
    for slot in neck.attend:
        slot.put("attention_gate")
    neck = neck.double()
    features = maps()
    middle, top = neck.lateral[1](features[1]), neck.lateral[2](features[2])
    merged = neck.attend[1](middle, top) + top.repeat_interleave(2, 2).repeat_interleave(2, 3)
    _, found, coarsest = neck(features)
    torch.testing.assert_close(found, neck.smooth[1](merged))
    assert torch.equal(coarsest, pyramid()(features)[2])


def test_no_map_at_all():
    with pytest.raises(InputError, match="at least one map"):
        FeaturePyramid((), 6)
