import pytest
import torch
from torch import nn

from regard.core.stand_ins import stand_ins


class Tied(nn.Module):
    """A module under two names, a parameter in two modules, a buffer that is written."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 2, bias=False), nn.Linear(2, 2)
        self.b.weight = self.a.weight
        self.again = self.a
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("replaced", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        self.replaced = self.replaced + 1
        return self.again(self.b(self.a(x)))


def tensors(module):
    return dict(module.named_parameters(remove_duplicate=False)) | dict(
        module.named_buffers(remove_duplicate=False)
    )


@pytest.mark.parametrize("error", [None, KeyError])
def test_everything_is_back_in_place_and_untouched(error):
    module = Tied()
    before = tensors(module)
    try:
        with stand_ins(module, parameters=torch.zeros_like, buffers=torch.clone):
            assert not module(torch.ones(1, 2)).sub(module.again(module.b.bias)).any()
            assert module.a.weight is module.b.weight is module.again.weight
            assert module.calls == module.replaced == 1
            if error:
                raise error
    except KeyError:
        pass
    after = tensors(module)
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)
    assert module.calls == module.replaced == 0
