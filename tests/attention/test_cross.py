"""Cross-attention takes a map or tokens, and says when the context does not fit."""

import pytest
import torch

from regard.attention import Cross
from regard.core.errors import InputError


def test_tokens_and_the_map_they_come_from_give_the_same():
    layer = Cross(8, context_channels=6, num_heads=2)
    x, context = torch.randn(2, 8, 3, 4), torch.randn(2, 6, 5, 2)
    torch.testing.assert_close(layer(x, context), layer(x, context.flatten(2).mT))


def test_order_of_tokens_does_not_matter_but_their_content_does():
    layer = Cross(8, num_heads=2)
    x, tokens = torch.randn(1, 8, 3, 4), torch.randn(1, 7, 8)
    torch.testing.assert_close(layer(x, tokens), layer(x, tokens.flip(1)))
    assert not torch.allclose(layer(x, tokens), layer(x, tokens + torch.randn(1, 7, 8)))


def test_context_of_other_channels_is_refused():
    with pytest.raises(InputError, match=r"context of 8 channels.*context_channels=6"):
        Cross(8)(torch.randn(1, 8, 3, 4), torch.randn(1, 6, 3, 4))
