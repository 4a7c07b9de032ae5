"""The global context is one and the same for all positions, and its fusion is chosen by name."""

import pytest
import torch

from regard.attention import GlobalContext
from regard.attention.global_context import global_context
from regard.core.errors import InputError


def test_the_query_picks_the_position_whose_features_are_added_everywhere():
    x = torch.randn(1, 3, 4, 5)
    x[0, :, 2, 1] = torch.tensor([40.0, 1.0, -2.0])
    y = global_context(x, torch.tensor([1.0, 0.0, 0.0]), lambda context: context)
    torch.testing.assert_close(y, x + torch.tensor([40.0, 1.0, -2.0]).reshape(3, 1, 1))


def test_an_unknown_fusion_is_answered_with_the_near_one():
    with pytest.raises(InputError, match="did you mean multiply"):
        GlobalContext(8, fusion="multiplied")
