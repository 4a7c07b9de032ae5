"""LeGrad is the gradient of each layer's own score, from models that end after that layer."""

import numpy as np
import pytest
import torch
from tests.explain.attending import hooks_of, logits_of, pictures, small, windowed
from tests.reference.explain import attention_maps as twin

from regard.core.errors import InputError
from regard.explain.legrad import legrad

CLASSES = (3, 1)
SCORE = logits_of(*CLASSES)


def close(got, expected):
    scale = expected.max()
    assert scale > 0
    np.testing.assert_allclose(got.double().numpy(), expected, rtol=2e-4, atol=2e-4 * scale)


@pytest.mark.parametrize("options", [{}, {"global_pool": "avg", "class_token": False}])
def test_it_is_that_of_models_that_end_after_each_block(options):
    model, images = small("vit", **options), pictures(64)
    prefix = model.num_prefix_tokens
    maps = legrad(model, images, SCORE)
    close(maps.values, twin.legrad(model, images, CLASSES)[:, prefix:].reshape(2, 4, 4))
    assert maps.kind == "positive"
    assert maps.site == tuple(f"blocks.{i}.attn" for i in range(3))


def test_some_layers():
    model, images = small("vit"), pictures(64)
    maps = legrad(model, images, SCORE, site="blocks.0.attn")
    model.blocks = model.blocks[:1]
    close(maps.values, twin.legrad(model, images, CLASSES)[:, 1:].reshape(2, 4, 4))


class InTuple(torch.nn.Module):
    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        return self.block(x), None


class Unpacking(torch.nn.Sequential):
    def forward(self, x):
        for block in self:
            x = block(x)[0]
        return x


class GivenByName(torch.nn.Sequential):
    def forward(self, x):
        for block in self:
            x = block(x=x)[0]
        return x


def test_blocks_that_return_tuples():
    images = pictures(64)
    expected = legrad(small("vit"), images, SCORE).values
    model = small("vit")
    model.blocks = Unpacking(*map(InTuple, model.blocks))
    torch.testing.assert_close(legrad(model, images, SCORE).values, expected)
    model.blocks = GivenByName(*model.blocks)
    with pytest.raises(InputError, match=r"'blocks' are given no tokens first"):
        legrad(model, images, SCORE)


def test_frozen_parameters_and_nothing_left_behind():
    model, images = small("vit"), pictures(64)
    expected = legrad(model, images, SCORE).values
    with torch.no_grad():
        output = model(images)
    model.requires_grad_(requires_grad=False)
    got = legrad(model, images, SCORE).values
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=0)
    assert not got.requires_grad
    assert not any(p.requires_grad or p.grad is not None for p in model.parameters())
    assert torch.equal(model(images), output)
    assert hooks_of(model) == 0
    assert not any("forward" in module.__dict__ for module in model.modules())


def test_nothing_is_left_behind_after_an_exception():
    model, images = small("vit"), pictures(64)

    class Failing(torch.nn.Module):
        calls = 0

        def forward(self, x):
            Failing.calls += 1
            if Failing.calls == 4:  # the second layer's score
                raise ZeroDivisionError
            return x

    model.norm = Failing()
    with pytest.raises(ZeroDivisionError):
        legrad(model, images, SCORE)
    assert Failing.calls == 4
    assert hooks_of(model) == 0
    assert not any("forward" in module.__dict__ for module in model.modules())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_models_of_which_blocks_cannot_be_skipped():
    with pytest.raises(InputError, match="change the tokens' number or width"):
        legrad(windowed(), pictures(16), SCORE)
    model = small("vit")
    model.head = torch.nn.Sequential(Attending(), model.head)
    with pytest.raises(InputError, match=r"is not in one list of blocks \(blocks.0.attn"):
        legrad(model, pictures(64), SCORE)


class Attending(torch.nn.Module):
    def forward(self, x):
        tokens = x[:, :, None]
        return (torch.nn.functional.scaled_dot_product_attention(tokens, tokens, tokens))[..., 0]
