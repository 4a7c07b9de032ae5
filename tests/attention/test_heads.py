"""Mechanisms keep the memory format of the network they stand in."""

import pytest
import torch

import regard.attention
from regard.attention.registry import mechanisms


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("name", [n for n, m in mechanisms.items() if m.output == "map"])
def test_memory_format_is_kept(name, memory_format):
    module = regard.attention.create(name, 8).to(memory_format=memory_format)
    inputs = [torch.randn(2, 8, 6, 4).to(memory_format=memory_format)]
    if mechanisms[name].context:
        inputs.append(torch.randn(2, 8, 3, 5).to(memory_format=memory_format))
    output = module(*inputs)
    assert output.is_contiguous(memory_format=memory_format)
