"""Selective kernel's paths: their reach, their groups, their layout."""

import pytest
import torch

from regard.attention import SelectiveKernel
from regard.attention.selective_kernel import selective_kernel
from regard.core.errors import InputError
from regard.core.seeding import seeded


def test_each_channel_chooses_for_itself():
    paths = torch.tensor([[1.0, 10.0], [2.0, 20.0]]).reshape(1, 2, 2, 1, 1)
    scores = torch.tensor([[50.0, 0.0], [0.0, 50.0]]).reshape(1, 4, 1, 1)
    y = selective_kernel(paths, lambda means: means, lambda _: scores)
    torch.testing.assert_close(y.flatten(), torch.tensor([1.0, 20.0]))


def test_the_means_are_of_the_sum_of_the_paths():
    seen = []
    paths = torch.randn(2, 3, 2, 4, 5)

    def squeeze(means):
        seen.append(means)
        return means.repeat(1, 2, 1, 1)

    selective_kernel(paths, squeeze, torch.zeros_like)
    torch.testing.assert_close(seen[0][:, :, 0, 0], paths.sum(2).mean((2, 3)))


def test_a_kernel_reaches_as_far_as_its_size_says():
    module = SelectiveKernel(4, kernel_sizes=(3, 7)).eval()
    for path, reach in zip(module.paths, (1, 3), strict=True):
        x = torch.zeros(1, 4, 1, 15, requires_grad=True)
        path[0](x)[0, :, 0, 7].sum().backward()
        touched = x.grad[0].abs().sum((0, 1)).nonzero().flatten()
        assert (touched.min(), touched.max()) == (7 - reach, 7 + reach)


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (48, 16), (7, 1)])
def test_by_default_as_many_groups_as_divide_the_channels(channels, groups):
    assert SelectiveKernel(channels).paths[0][0].groups == groups


def test_channels_last_stays_channels_last():
    with seeded(0):
        module = SelectiveKernel(8).to(memory_format=torch.channels_last)
        x = torch.randn(2, 8, 6, 4).to(memory_format=torch.channels_last)
    assert module(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_sizes": (3,)}, "two to choose from"),
        ({"kernel_sizes": (3, 4)}, "kernel_sizes is 4"),
        ({"kernel_sizes": (1, 3)}, "kernel_sizes is 1"),
        ({"groups": 3}, "groups is 3"),
    ],
)
def test_paths_that_cannot_be_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        SelectiveKernel(8, **options)
