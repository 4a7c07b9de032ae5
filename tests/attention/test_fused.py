"""Softmax kinds go through fused attention, and could run on the fused kernel."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

import regard.attention
from regard.attention.registry import mechanisms
from regard.core.seeding import seeded

CASES = [
    pytest.param(name, options, id=f"{name}-{options}")
    for name, mechanism in mechanisms.items()
    for options in mechanism.examples
    if mechanism.kind == "softmax" and mechanism.fused
    if options.get("pairwise") != "dot_product"
]


class CountFused(TorchFunctionMode):
    """Counts calls of fused attention."""

    calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.nn.functional.scaled_dot_product_attention:
            self.calls += 1
        return func(*args, **(kwargs or {}))


def run(name, options, memory_format):
    mechanism = mechanisms[name]
    with seeded(0):
        module = regard.attention.create(name, 8, **options)
        inputs = [torch.randn(2, 8, 6, 4).to(memory_format=memory_format)]
        if mechanism.context:
            channels = options.get("context_channels", 8)
            inputs.append(torch.randn(2, channels, 3, 5).to(memory_format=memory_format))
    with torch.no_grad():
        return module(*inputs)


@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_runs_on_the_fused_kernel(name, options, memory_format):
    # With the plain backend switched off, SDPA raises on inputs whose layout the fused kernel
    # does not take.
    with CountFused() as counter, sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        run(name, options, memory_format)
    assert counter.calls >= 1
