"""The non-local block starts as the identity, and can leave it."""

import pytest
import torch

from regard.attention import NonLocal


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_new_block_is_the_identity_and_learns(batch_norm):
    layer = NonLocal(8, batch_norm=batch_norm)
    x = torch.randn(2, 8, 5, 3)
    output = layer(x)
    torch.testing.assert_close(output, x, rtol=0, atol=0)
    (output * torch.randn_like(output)).sum().backward()
    last = layer.norm if batch_norm else layer.project
    assert last.weight.grad.abs().max() > 0
