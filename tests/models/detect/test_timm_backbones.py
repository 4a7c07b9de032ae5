"""timm's transformers as backbones: of any size, with the channels where a detector wants them."""

import pytest
import torch

from regard.models.detect.backbone import make_backbone

SWIN = {"embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 1, 1)}
VIT = {"embed_dim": 8, "depth": 3, "num_heads": 1}


@pytest.mark.parametrize(
    ("name", "options", "strides"),
    [
        ("swin_tiny_patch4_window7_224", SWIN, (8, 16, 32)),
        ("vit_tiny_patch16_224", VIT, (16,)),
        ("vit_tiny_patch16_224", {**VIT, "img_size": (64, 96)}, (16,)),
    ],
)
def test_maps_lie_as_the_backbone_says(name, options, strides):
    """They were made for 224×224 pixels; timm gives Swin's maps with the channels last."""
    backbone = make_backbone(f"timm:{name}", finest=8, **options).eval()
    assert backbone.strides == strides
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps, theirs = backbone(images), backbone.body(images)
    expected = [
        (1, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(backbone.channels, strides, strict=True)
    ]
    assert [tuple(each.shape) for each in maps] == expected
    last = theirs[-1][0, 1, 2] if name.startswith("swin") else theirs[-1][0, :, 1, 2]
    torch.testing.assert_close(maps[-1][0, :, 1, 2], last)
