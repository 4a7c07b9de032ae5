"""Residual networks: the CIFAR ones (20 and 56 layers) and ResNet-18.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2015 (arXiv 1512.03385),
section 4.2 for CIFAR and table 1 for ImageNet. Where sizes change the shortcut is a projection
(the paper's option B) in every network; the paper's CIFAR networks pad with zeros (option A).
"""

from torch import Tensor, nn
from torch.nn import functional as F

from regard.core.errors import InputError
from regard.core.shapes import FeatureMap, OutputMap
from regard.models.registry import Places, Widening, register

_CIFAR_PLACES = Places(gate="layer*.*.bn2", mixing="layer3")
_RESNET18_PLACES = Places(gate="layer*.*.bn2", mixing="layer4")

_WIDER = Widening("width", step=0.05)
"""In a network of three stages such a step moves the last one alone."""


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut: relu(f(x) + shortcut(x))."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: FeatureMap) -> OutputMap:
        """(batch, channel, height, width) to the same, `stride` times smaller."""
        residual = F.relu(self.bn1(self.conv1(x)), inplace=True)
        residual = self.bn2(self.conv2(residual))
        return F.relu(residual + self.shortcut(x), inplace=True)


class ResNet(nn.Module):
    """A residual network of basic blocks.

    Args:
        blocks: blocks in each stage; stage `i` is the attribute `layer{i + 1}`.
        width: channels of the first stage; they double at every further one. It need not be whole:
            stage `i` has the whole number nearest to width · 2^i, so that a network can be given
            nearly any number of parameters.
        classes: how many classes the head tells apart.
        stem: `cifar` (one 3×3 convolution at full size) or `imagenet` (7×7, stride 2, then 3×3
            max pooling, stride 2).

    """

    def __init__(
        self,
        blocks: tuple[int, ...],
        *,
        width: int | float,
        classes: int,
        stem: str = "cifar",
    ) -> None:
        super().__init__()
        if stem not in ("cifar", "imagenet"):
            raise InputError(f"unknown stem {stem!r}; choose cifar or imagenet")
        kernel, stride = (3, 1) if stem == "cifar" else (7, 2)
        if not width >= 1:
            raise InputError(f"width must be at least 1, not {width}")
        channels = round(width)
        self.conv1 = nn.Conv2d(3, channels, kernel, stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.pool = nn.MaxPool2d(3, 2, padding=1) if stem == "imagenet" else nn.Identity()
        self.stages = [f"layer{index + 1}" for index in range(len(blocks))]
        for index, (name, depth) in enumerate(zip(self.stages, blocks, strict=True)):
            out = round(width * 2**index)
            first = BasicBlock(channels, out, stride=1 if index == 0 else 2)
            rest = [BasicBlock(out, out, stride=1) for _ in range(depth - 1)]
            self.add_module(name, nn.Sequential(first, *rest))
            channels = out
        self.fc = nn.Linear(channels, classes)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward_features(self, x: FeatureMap) -> OutputMap:
        """Images (batch, 3, height, width) to the last stage's features."""
        x = self.pool(F.relu(self.bn1(self.conv1(x)), inplace=True))
        for name in self.stages:
            x = self.get_submodule(name)(x)
        return x

    def forward(self, x: FeatureMap) -> Tensor:
        """Images (batch, 3, height, width) to logits (batch, class)."""
        return self.fc(self.forward_features(x).mean((2, 3)))


@register(
    "resnet20",
    paper="He et al., 2015",
    arxiv="1512.03385",
    size=32,
    places=_CIFAR_PLACES,
    widens=_WIDER,
)
def resnet20(classes: int, *, width: int | float = 16) -> ResNet:
    """CIFAR's ResNet of 20 layers: three stages of three blocks; 0.27 M parameters at width 16."""
    return ResNet((3, 3, 3), width=width, classes=classes)


@register(
    "resnet56",
    paper="He et al., 2015",
    arxiv="1512.03385",
    size=32,
    places=_CIFAR_PLACES,
    widens=_WIDER,
)
def resnet56(classes: int, *, width: int | float = 16) -> ResNet:
    """CIFAR's ResNet of 56 layers: three stages of nine blocks."""
    return ResNet((9, 9, 9), width=width, classes=classes)


@register(
    "resnet8",
    paper="He et al., 2015",
    arxiv="1512.03385",
    size=32,
    places=_CIFAR_PLACES,
    widens=_WIDER,
)
def resnet8(classes: int, *, width: int | float = 16) -> ResNet:
    """The smallest of the family (n = 1): three stages of one block, for quick comparisons."""
    return ResNet((1, 1, 1), width=width, classes=classes)


@register(
    "resnet18",
    paper="He et al., 2015",
    arxiv="1512.03385",
    size=32,
    places=_RESNET18_PLACES,
    widens=_WIDER,
)
def resnet18(classes: int, *, width: int | float = 64, stem: str = "cifar") -> ResNet:
    """ResNet-18, with a stem for small images or, `stem="imagenet"`, the ordinary one."""
    return ResNet((2, 2, 2, 2), width=width, classes=classes, stem=stem)
