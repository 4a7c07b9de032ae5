"""Tokens are found where they are, in every family whose layout is known: the oracles are here."""

import numpy as np
import pytest
import torch
from tests.capture.layouts import assert_placed, captured, dilated, lattice, regular, windows
from torch import nn
from torch.nn import functional as F

from regard.capture import capture
from regard.core.errors import MissingPackage
from regard.core.grid import NO_PLACE
from regard.core.packages import require
from regard.core.seeding import seeded


def package(name):
    try:
        return require(name, extra="zoo")
    except MissingPackage as error:
        pytest.skip(str(error))


def timm_model(name, **options):
    timm = package("timm")
    with seeded(0):
        return timm.create_model(name, **options).eval()


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("vit_tiny_patch16_224", 1),
        ("deit_tiny_distilled_patch16_224", 2),
        ("vit_small_patch14_reg4_dinov2", 5),
    ],
)
def test_vision_transformers_with_class_token_distillation_token_and_registers(name, prefix):
    model = timm_model(name, img_size=(56, 112), patch_size=8, depth=3)
    for record in captured(model, 56, 112):
        for grid in (record.query_grid, record.key_grid):
            assert_placed(grid, regular(7, 14, prefix), (8, 8))
            assert grid.prefix == prefix


@pytest.mark.slow
def test_swin_with_shifted_windows():
    model = timm_model(
        "swin_tiny_patch4_window7_224", img_size=(56, 112), depths=(2, 2), num_heads=(2, 4),
        embed_dim=32,
    )  # fmt: skip
    records = captured(model, 56, 112)
    # A map as high as a window is shifted along the other axis only.
    shifts = [(0, 0), (3, 3), (0, 0), (0, 3)]
    for record, side, shift in zip(records, (14, 14, 7, 7), shifts, strict=True):
        shifted = np.roll(lattice(side, 2 * side), (-shift[0], -shift[1]), (0, 1))
        for grid in (record.query_grid, record.key_grid):
            assert_placed(grid, windows(shifted, 7, 7), (56 / side, 56 / side))


@pytest.mark.slow
def test_maxvit_blocks_and_grids_below_convolutions():
    model = timm_model("maxvit_tiny_rw_224", img_size=(64, 128))
    records = captured(model, 64, 128)
    assert len(records) == 22
    for record in records:
        stride = 4 * 2 ** int(record.site.split(".")[1])
        order = windows if "block" in record.site.split(".")[4] else dilated
        for grid in (record.query_grid, record.key_grid):
            assert_placed(grid, order(lattice(64 // stride, 128 // stride), 2, 4), (stride, stride))


@pytest.mark.slow
def test_hiera_in_the_order_of_its_mask_units():
    model = timm_model(
        "hiera_tiny_224", img_size=(64, 96), stages=(1, 1, 1, 1), embed_dim=32, num_heads=1
    )
    order = model.unroll(torch.arange(16.0 * 24).reshape(1, -1, 1)).flatten().long().numpy()
    rows, cols = np.divmod(order, 24)
    for record, pooled in zip(captured(model, 64, 96), (1, 2, 4, 8), strict=True):
        grids = (record.query_grid, pooled), (record.key_grid, max(1, pooled // 2))
        if pooled == 8:
            grids = grids[:1]  # the last stage attends globally, within its own tokens
        for grid, factor in grids:
            first = len(order) // factor**2
            width = 24 // factor
            cells = (rows[:first] // factor) * width + cols[:first] // factor
            expected = cells.reshape(grid.tokens, grid.groups).T
            assert_placed(grid, expected, (4 * factor, 4 * factor))


@pytest.mark.slow
def test_pyramid_with_pooled_keys():
    model = timm_model("pvt_v2_b0", depths=(1, 1, 1, 1))
    records = captured(model, 128, 192)
    for record, stride in zip(records, (4, 8, 16, 32), strict=True):
        rows, cols = 128 // stride, 192 // stride
        assert_placed(record.query_grid, regular(rows, cols), (stride, stride))
        assert_placed(record.key_grid, regular(4, 6), (32, 32))


@pytest.mark.slow
def test_pooling_attention():
    model = timm_model("mvitv2_tiny", img_size=128)
    blocks = [block for stage in model.stages for block in stage.blocks]
    side = 32
    for record, block in zip(captured(model, 128, 128), blocks, strict=True):
        keys = side // (block.attn.pool_k.stride[0] if block.attn.pool_k else 1)
        side //= block.attn.pool_q.stride[0] if block.attn.pool_q else 1
        assert_placed(record.query_grid, regular(side, side), (128 / side, 128 / side))
        assert_placed(record.key_grid, regular(keys, keys), (128 / keys, 128 / keys))


@pytest.mark.slow
def test_class_attention_sees_all_and_stands_nowhere():
    model = timm_model(
        "cait_xxs24_224", img_size=(64, 96), patch_size=8, embed_dim=64, num_heads=4, depth=2
    )
    records = captured(model, 64, 96)
    for record in records[:2]:
        assert_placed(record.query_grid, regular(8, 12), (8, 8))
        assert_placed(record.key_grid, regular(8, 12), (8, 8))
    for record in records[2:]:
        assert record.query_grid is None
        assert_placed(record.key_grid, regular(8, 12, prefix=1), (8, 8))


class Decoder(nn.Module):
    """Object queries that ask each other, and then the image."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 8, stride=8)
        self.queries = nn.Parameter(torch.randn(1, 12, 64))
        self.ask = nn.ModuleList([nn.Linear(64, 64) for _ in range(2)])

    def forward(self, x):
        memory = self.stem(x).flatten(2).mT
        queries = self.queries.expand(len(x), -1, -1)
        for ask in self.ask:
            queries = queries + F.scaled_dot_product_attention(*[ask(queries)[:, None]] * 3)[:, 0]
            among = ask(queries)[:, None], ask(memory)[:, None], memory[:, None]
            queries = queries + F.scaled_dot_product_attention(*among)[:, 0]
        return queries


def test_object_queries_stand_nowhere_and_ask_tokens_of_the_image():
    with seeded(0):
        model = Decoder()
    among, image, _, second = captured(model, 48, 64)
    assert among.query_grid is None
    assert among.key_grid is None
    for record in (image, second):
        assert record.query_grid is None
        assert_placed(record.key_grid, regular(6, 8), (8, 8))


class Video(nn.Module):
    """Tokens of several frames, frame by frame."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv3d(3, 64, (2, 8, 8), stride=(2, 8, 8))

    def forward(self, x):
        tokens = self.stem(x.transpose(1, 2)).flatten(2).mT[:, None]
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


def test_tokens_of_a_video_lie_in_frames():
    with seeded(0):
        model = Video()
    clip = torch.randn(1, 8, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    (record,) = captured(model, x=clip)
    grid = record.key_grid
    assert (grid.frames, grid.rows, grid.cols, grid.is_regular) == (4, 4, 6, True)


class Memory(nn.Module):
    """Keys that are learned, as many as the map has cells."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 8, stride=8)
        self.keys = nn.Parameter(torch.randn(1, 1, 24, 32))

    def forward(self, x):
        tokens = self.stem(x).flatten(2).mT[:, None]
        keys = self.keys.expand(len(x), -1, -1, -1)
        return F.scaled_dot_product_attention(tokens, keys, keys)


def test_learned_keys_are_not_taken_for_cells_of_the_image():
    with seeded(0):
        model = Memory()
    (record,) = captured(model, 32, 48)
    assert_placed(record.query_grid, regular(4, 6), (8, 8))
    assert record.key_grid is None


class Columns(nn.Module):
    """Tokens column by column, after a class token: as many as another order would have."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 8, stride=8)
        self.first = nn.Parameter(torch.randn(1, 1, 64))

    def forward(self, x):
        tokens = self.stem(x).mT.flatten(2).mT
        tokens = torch.cat([self.first.expand(len(x), -1, -1), tokens], 1)[:, None]
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


def test_an_unusual_order_is_not_taken_for_the_usual_one():
    with seeded(0):
        model = Columns()
    (record,) = captured(model, 64, 64)
    columns = np.concatenate([[NO_PLACE], lattice(8, 8).T.flatten()])[None]
    assert_placed(record.key_grid, columns, (8, 8))
    assert record.key_grid.prefix == 1


class ByColumn(nn.Module):
    """Attention over a map, column by column."""

    def forward(self, x):
        tokens = x.mT.flatten(2).mT[:, None]
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


class SharedHead(nn.Module):
    """One head for two levels, in whose maps every cell has seen all of the image."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 8, stride=8)
        self.all_to_all = nn.Linear(96, 96)
        self.head = ByColumn()

    def forward(self, x):
        cells = self.stem(x).flatten(2)
        fine = self.all_to_all(cells).unflatten(2, (8, 12))
        return self.head(fine), self.head(F.avg_pool2d(fine, 2))


def test_each_call_of_a_module_is_lit_by_itself():
    with seeded(0):
        model = SharedHead()
    fine, coarse = captured(model, 64, 96)
    assert (fine.call, coarse.call) == (0, 1)
    for record, (rows, cols), side in ((fine, (8, 12), 8), (coarse, (4, 6), 16)):
        for grid in (record.query_grid, record.key_grid):
            assert_placed(grid, lattice(rows, cols).T.reshape(1, -1), (side, side))


class Mixing(nn.Module):
    """Attention among tokens, to which as much of all other tokens is added, in no order."""

    def __init__(self, tokens, order=None, asked=None):
        super().__init__()
        self.among = nn.Parameter(torch.randn(tokens, tokens) / tokens**0.5)
        self.norm = nn.LayerNorm(64)
        self.order, self.asked = order, asked

    def forward(self, x):
        x = x if self.order is None else x[:, self.order]
        tokens = (x if self.asked is None else x[:, self.asked])[:, None]
        seen = F.scaled_dot_product_attention(tokens, tokens, tokens)[:, 0]
        seen = seen if self.asked is None else seen[:, self.asked.argsort()]
        return self.norm(x + 0.1 * seen + self.among @ x)


class Deep(nn.Module):
    """Blocks behind which every token has seen everything, after a class token."""

    def __init__(self, *blocks):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 8, stride=8)
        self.first = nn.Parameter(torch.randn(1, 1, 64))
        self.blocks = nn.ModuleList(Mixing(65, **block) for block in blocks)

    def forward(self, x):
        tokens = self.stem(x).flatten(2).mT
        x = torch.cat([self.first.expand(len(x), -1, -1), tokens], 1)
        for block in self.blocks:
            x = block(x)
        return x


def test_deep_in_a_model_tokens_are_placed_by_those_of_the_layer_below():
    with seeded(0):
        model = Deep(*[{}] * 6)
    for record in captured(model, 64, 64):
        for grid in (record.query_grid, record.key_grid):
            assert grid is not None, record.site
            assert_placed(grid, regular(8, 8, prefix=1), (8, 8))
    assert not any(module._forward_pre_hooks for module in model.modules())


SHUFFLED = torch.randperm(65, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param([*[{}] * 5, {"order": SHUFFLED}], id="the last block has another"),
        pytest.param([*[{"asked": SHUFFLED}] * 3, *[{}] * 3], id="the first attend in another"),
    ],
)
def test_tokens_are_not_placed_by_those_below_that_are_in_another_order(blocks):
    with seeded(0):
        model = Deep(*blocks)
    first, *_, last = captured(model, 64, 64)
    assert first.query_grid is not None
    assert last.query_grid is None
    assert last.key_grid is None


def test_locating_leaves_mode_randomness_and_hooks_alone():
    with seeded(0):
        model = nn.Sequential(Columns(), nn.Dropout()).train()
    state = torch.get_rng_state()
    with capture(model) as seen:
        model(torch.zeros(1, 3, 64, 64))
        after_model = torch.get_rng_state()
        assert seen["0"].key_grid is not None
    assert len(seen.records) == 1
    assert torch.equal(torch.get_rng_state(), after_model)
    assert not torch.equal(state, after_model)
    assert all(module.training for module in model.modules())
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())


class Masked(nn.Module):
    """Some of the tokens see each other, as in a masked autoencoder."""

    def __init__(self, kept=None):
        super().__init__()
        self.stem = nn.Conv2d(3, 96, 8, stride=8)
        self.kept = kept

    def forward(self, x):
        kept = torch.randperm(48)[:12] if self.kept is None else self.kept
        tokens = self.stem(x).flatten(2).mT[:, None, kept]
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


def test_tokens_that_are_a_part_of_a_map():
    kept = torch.tensor([3, 40, 17, 9, 25, 0, 31, 47, 12, 22, 36, 29])
    with seeded(0):
        model = Masked(kept)
    (record,) = captured(model, x=torch.randn(1, 3, 48, 64))
    assert_placed(record.key_grid, kept.numpy()[None], (8, 8))
    assert (record.key_grid.rows, record.key_grid.cols) == (6, 8)


def test_a_part_of_a_map_is_found_anew_and_for_one_image_alone():
    with seeded(0):
        model = Masked(torch.arange(12))
    (first,) = captured(model, x=torch.randn(1, 3, 48, 64))
    assert_placed(first.key_grid, np.arange(12)[None], (8, 8))
    model.kept = torch.arange(30, 42)
    (second,) = captured(model, x=torch.randn(1, 3, 48, 64))
    assert_placed(second.key_grid, np.arange(30, 42)[None], (8, 8))
    (both,) = captured(model, x=torch.randn(2, 3, 48, 64))
    assert both.key_grid is None
    assert both.unclear == {"query", "key"}


class OtherWayInTraining(Memory):
    """Asks with half of its tokens while it trains."""

    def forward(self, x):
        tokens = self.stem(x).flatten(2).mT[:, None]
        tokens = tokens[:, :, ::2] if self.training else tokens
        return F.scaled_dot_product_attention(tokens, tokens, tokens)


def test_a_record_takes_no_grid_of_other_tokens():
    with seeded(0):
        model = OtherWayInTraining().train()
    (record,) = captured(model, 32, 48)
    assert record.operator.shape[2] == 12
    assert record.key_grid is None
    assert record.unclear == {"query", "key"}


def test_tokens_that_are_picked_at_random_are_not_placed():
    with seeded(0):
        model = Masked()
    (record,) = captured(model, 48, 64)
    assert record.key_grid is None
    assert record.unclear == {"query", "key"}
