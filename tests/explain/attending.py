"""Small transformers for the tests of attention methods, and a target for each image."""

from functools import cache

import pytest
import torch
from torch import nn

from regard.core.errors import MissingPackage
from regard.core.packages import require
from regard.core.seeding import seeded
from regard.explain.targets import Score

_SMALL = {
    "vit": (
        "vit_tiny_patch16_224",
        {"img_size": 64, "depth": 3, "embed_dim": 24, "num_heads": 3},
    ),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"img_size": 16, "window_size": 2, "embed_dim": 8, "depths": (2, 1), "num_heads": (2, 4)},
    ),
    "pvt": (
        "pvt_v2_b0",
        {"depths": (1, 1), "embed_dims": (8, 16), "num_heads": (1, 2), "sr_ratios": (2, 1)},
    ),
    "cait": (
        "cait_xxs24_224",
        {"img_size": 64, "depth": 2, "depth_token_only": 2, "embed_dim": 24, "num_heads": 3},
    ),
}


def small(name, **options):
    """Return a small model of timm, whose attention is not even and whose head is not zero."""
    try:
        timm = require("timm", extra="zoo")
    except MissingPackage as error:
        pytest.skip(str(error))
    full, size = _SMALL[name]
    generator = torch.Generator().manual_seed(1)
    with seeded(0):
        model = timm.create_model(full, num_classes=5, **{**size, **options}).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(noise, alpha=0.15)
    return model


def fuse(model, *, fused):
    """Let a model of timm use the fused kernel, or form its weights."""
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = fused


@cache
def windowed():
    """Return a small Swin, one for all tests: its tokens are placed once. Leave it as it is."""
    return small("swin")


class Detector(nn.Module):
    """An encoder of 16 patches, and a decoder of 6 object queries with 4 classes each."""

    def __init__(self, width=12, heads=2):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.places = nn.Parameter(torch.randn(16, width))
        self.queries = nn.Parameter(torch.randn(6, width))
        options = {"dim_feedforward": 16, "dropout": 0.0, "batch_first": True}
        layer = nn.TransformerEncoderLayer(width, heads, **options)
        self.encoder = nn.TransformerEncoder(layer, 2)
        layer = nn.TransformerDecoderLayer(width, heads, **options)
        self.decoder = nn.TransformerDecoder(layer, 2)
        self.classes = nn.Linear(width, 4)

    def forward(self, images):
        tokens = self.encoder(self.patches(images).flatten(2).mT + self.places)
        queries = self.queries.expand(len(images), -1, -1)
        return self.classes(self.decoder(queries, tokens))


@cache
def detector():
    """Return a small detector whose layers all differ, one for all tests. Leave it as it is."""
    generator = torch.Generator().manual_seed(3)
    with seeded(0):
        model = Detector().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
    return model


def pictures(side, batch=2):
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(2))


def logits_of(*classes):
    """Return the score of one class for each image."""
    wanted = torch.tensor(classes)
    return Score(
        lambda output, image: output.gather(1, wanted[image][:, None])[:, 0],
        tuple(f"class {number}" for number in classes),
    )


def hooks_of(model):
    return sum(
        len(held)
        for module in model.modules()
        for held in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    )
