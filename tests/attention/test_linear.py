"""Linear attention never makes a matrix of positions by positions."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from regard.attention import External, Linear, NonLocal, ScaledDotProduct

SIDE = 32


class LargestTensor(TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation returned."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        outputs = result if isinstance(result, tuple | list) else [result]
        sizes = [output.numel() for output in outputs if isinstance(output, torch.Tensor)]
        self.numel = max([self.numel, *sizes])
        return result


def largest_in_training_step(layer):
    x = torch.randn(1, 8, SIDE, SIDE, requires_grad=True)
    with sdpa_kernel(SDPBackend.MATH), LargestTensor() as watch:
        layer(x).sum().backward()
    return watch.numel


@pytest.mark.parametrize(
    "layer",
    [
        Linear(8, num_heads=2),
        Linear(8, num_heads=2, feature_map="softmax"),
        External(8, memory=16),
        NonLocal(8, pairwise="dot_product"),
    ],
    ids=["elu", "softmax", "external", "non_local"],
)
def test_no_tensor_grows_with_the_square_of_the_positions(layer):
    assert largest_in_training_step(layer) <= 16 * SIDE**2


def test_the_watch_sees_the_matrix_of_softmax_attention():
    assert largest_in_training_step(ScaledDotProduct(8)) >= SIDE**4


def test_features_far_below_zero_leave_finite_output_and_gradients():
    layer = Linear(4, num_heads=1)
    torch.nn.init.constant_(layer.query.bias, -200.0)
    x = torch.randn(1, 4, 3, 3, requires_grad=True)
    output = layer(x)
    output.sum().backward()
    assert output.isfinite().all()
    assert x.grad.isfinite().all()
