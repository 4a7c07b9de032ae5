"""Tokens are placed where several lie in one cell, or in windows, or do not move by themselves."""

import numpy as np
import pytest
import torch
from tests.capture.layouts import assert_placed, captured, lattice, regular, windows
from torch import nn
from torch.nn import functional as F

from regard.capture import capture
from regard.core.grid import NO_PLACE
from regard.core.seeding import seeded


def image(*size):
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))


class Halo(nn.Module):
    """Blocks of 2×2 queries see 4×4 keys around them; beyond the border there is nothing.

    Vaswani et al. 2021 (arXiv 2103.12731). Blocks are folded into the batch, or stand where heads
    usually do, and the heads in the batch.
    """

    heads, width = 4, 32

    def __init__(self, *, blocks_as_heads):
        super().__init__()
        self.stem = nn.Conv2d(3, 3 * self.heads * self.width, 8, stride=8)
        self.blocks_as_heads = blocks_as_heads

    def split(self, x, size, padding):
        cut = F.unfold(x, size, stride=2, padding=padding)  # (batch, channel × size², block)
        return cut.unflatten(1, (self.heads, self.width, -1)).permute(0, 1, 4, 3, 2)

    def forward(self, x):
        q, k, v = self.stem(x).chunk(3, 1)
        qkv = self.split(q, 2, 0), self.split(k, 4, 1), self.split(v, 4, 1)
        if self.blocks_as_heads:
            return F.scaled_dot_product_attention(*(x.flatten(0, 1) for x in qkv))
        return F.scaled_dot_product_attention(*(x.transpose(1, 2).flatten(0, 1) for x in qkv))


def surrounded(cells):
    """The 4×4 cells around each block of 2×2, row by row; −1 beyond the border."""
    rows, cols = cells.shape
    padded = np.pad(cells, 1, constant_values=NO_PLACE)
    return np.stack(
        [
            padded[r : r + 4, c : c + 4].flatten()
            for r in range(0, rows, 2)
            for c in range(0, cols, 2)
        ]
    )


@pytest.mark.parametrize("blocks_as_heads", [False, True])
def test_windows_that_overlap(blocks_as_heads):
    with seeded(0):
        model = Halo(blocks_as_heads=blocks_as_heads)
    (record,) = captured(model, 48, 64)
    copies = model.heads if blocks_as_heads else 1
    assert_placed(record.query_grid, np.tile(windows(lattice(6, 8), 2, 2), (copies, 1)), (8, 8))
    assert_placed(record.key_grid, np.tile(surrounded(lattice(6, 8)), (copies, 1)), (8, 8))
    assert record.key_grid.heads_are_groups == blocks_as_heads


def test_windows_that_stand_where_heads_do_are_one_operator_over_the_map():
    with seeded(0):
        models = [Halo(blocks_as_heads=flag) for flag in (False, True)]
    models[1].load_state_dict(models[0].state_dict())
    (usual,), (unusual,) = (captured(model, 48, 64) for model in models)
    expected = usual.whole_operator.dense().mean(1, keepdim=True)
    told = unusual.whole_operator
    assert torch.allclose(told.dense(), expected, atol=1e-6)
    vectors = torch.randn(2, 1, 48, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(told.matvec(vectors), expected @ vectors, atol=1e-5)
    assert torch.allclose(told.rmatvec(vectors), expected.mT @ vectors, atol=1e-5)


class WindowsWithClassTokens(nn.Module):
    """Tokens of four windows one after the other, each after a class token of its own."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 8, stride=8)
        self.first = nn.Parameter(torch.randn(1, 1, 64))

    def forward(self, x):
        tokens = self.stem(x)
        cut = F.unfold(tokens, (3, 4), stride=(3, 4)).unflatten(1, (64, -1)).permute(0, 3, 2, 1)
        cut = torch.cat([self.first + cut.mean(2, keepdim=True), cut], 2).flatten(1, 2)[:, None]
        return F.scaled_dot_product_attention(cut, cut, cut)


def test_class_tokens_among_the_others_stand_nowhere():
    with seeded(0):
        model = WindowsWithClassTokens()
    (record,) = captured(model, 48, 64)
    each = windows(lattice(6, 8), 3, 4)
    expected = np.concatenate([np.full((4, 1), NO_PLACE), each], 1).reshape(1, -1)
    assert_placed(record.key_grid, expected, (8, 8))


class Hidden(nn.Module):
    """All patches, most of them hidden behind one and the same token."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 8, stride=8)
        self.hidden = nn.Parameter(torch.randn(64))
        self.register_buffer("shown", torch.randperm(48)[:12])

    def forward(self, x):
        tokens = self.stem(x).flatten(2).mT
        shown = torch.zeros(48, 1, dtype=torch.bool).index_fill(0, self.shown, True)
        tokens = torch.where(shown, tokens, self.hidden)[:, None]
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


def test_hidden_tokens_lie_where_the_shown_ones_say():
    with seeded(0):
        model = Hidden()
    (record,) = captured(model, 48, 64)
    assert_placed(record.key_grid, regular(6, 8), (8, 8))


class FewWords(nn.Module):
    """Six tokens that each see another part of the image, and are no map of it."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 8, stride=8)
        places = torch.tensor([[1, 1], [1, 6], [2, 2], [3, 5], [5, 1], [4, 6]])
        self.register_buffer("seen", places[:, 0] * 8 + places[:, 1])

    def forward(self, x):
        words = self.stem(x).flatten(2).mT[:, None, self.seen]
        return F.scaled_dot_product_attention(words, words, words)


def test_a_few_tokens_are_not_taken_for_a_map_that_the_model_never_made():
    with seeded(0):
        model = FewWords()
    (record,) = captured(model, x=image(48, 64))
    assert record.key_grid is None
    assert record.unclear == {"query", "key"}


def test_tokens_that_are_picked_at_random_are_found_for_one_image():
    class Drawing(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 96, 8, stride=8)
            self.kept = []

        def forward(self, x):
            self.kept.append(torch.randperm(48)[:12])
            tokens = self.stem(x).flatten(2).mT[:, None, self.kept[-1]]
            return F.scaled_dot_product_attention(tokens, tokens, tokens)

    with seeded(0):
        model = Drawing().eval()
    # Some of these also lie near the middles of a lattice of 3×4, that they would fill.
    for seed in (4, 20, 21):
        model.kept.clear()
        with seeded(seed), torch.no_grad(), capture(model) as seen:
            model(image(48, 64))
        assert_placed(seen["Drawing"].key_grid, model.kept[0].numpy()[None], (8, 8))
    model.train()
    with torch.no_grad(), capture(model) as seen:
        model(image(48, 64))
    assert seen["Drawing"].unclear == {"query", "key"}


class Folded(nn.Module):
    """Windows of tokens, above a layer in which every token takes up a little of all others."""

    def __init__(self, share):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 8, stride=8)
        self.mix = nn.Linear(48, 48)
        self.attend = WindowsOfTokens()
        self.share = share

    def forward(self, x):
        tokens = self.stem(x).flatten(2)
        return self.attend((tokens + self.share * self.mix(tokens)).mT)


class WindowsOfTokens(nn.Module):
    """Windows of 3×4 tokens of a map of 6×8."""

    def forward(self, tokens):
        cut = tokens.unflatten(1, (2, 3, 2, 4)).transpose(2, 3).reshape(-1, 12, tokens.shape[-1])
        return F.scaled_dot_product_attention(*[cut[:, None]] * 3)


def test_tokens_are_lit_as_a_map_where_much_was_mixed_below():
    with seeded(0):
        model = Folded(share=2.5)
    (record,) = captured(model, 48, 64)
    assert_placed(record.key_grid, windows(lattice(6, 8), 3, 4), (8, 8))


class Small(nn.Module):
    """A kernel as wide as its map: the order shows, the lattice does not."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 8, stride=8)
        self.block = SmallBlock()

    def forward(self, x):
        return self.block(self.stem(x))


class SmallBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.Conv2d(64, 64, 3, stride=2, padding=1)
        self.mix = nn.Conv2d(64, 64, 3, padding=1)

    def forward(self, x):
        tokens = self.mix(self.pool(x)).flatten(2).mT[:, None]
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


def test_a_blurred_lattice_is_taken_as_counted_where_the_order_agrees():
    with seeded(0):
        model = Small()
    (record,) = captured(model, 48, 48)
    assert_placed(record.key_grid, regular(3, 3), (16, 16))
