"""EfficientNet-Lite0 as a backbone: a MobileNetV2-like network that is quick on a CPU.

Tan and Le, "EfficientNet", 2019 (arXiv 1905.11946), table 1 (B0), as TensorFlow's "Lite" has it:
without squeeze-excite, and with ReLU6. Modules are named, and padding and norms are set, as in
timm's `tf_efficientnet_lite0`, so that the weights of either fill the other; timm is not needed.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from regard.core.errors import InputError
from regard.core.shapes import FeatureMap, OutputMap

# Of each stage: blocks, kernel, stride, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow pads: a spare column or row goes right or below."""

    def forward(self, input: FeatureMap) -> OutputMap:
        """(batch, channel, height, width) to ⌈height / stride⌉ × ⌈width / stride⌉."""
        sides = zip(input.shape[2:], self.kernel_size, self.stride, strict=True)
        lacking = [max((-(-side // s) - 1) * s + k - side, 0) for side, k, s in sides]
        down, across = lacking
        x = F.pad(input, (across // 2, across - across // 2, down // 2, down - down // 2))
        return F.conv2d(x, self.weight, None, self.stride, 0, 1, self.groups)


def _depthwise(channels: int, kernel: int, stride: int) -> nn.Conv2d:
    if stride == 1:
        return nn.Conv2d(channels, channels, kernel, 1, kernel // 2, groups=channels, bias=False)
    return SameConv2d(channels, channels, kernel, stride, groups=channels, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class SeparableBlock(nn.Module):
    """A depthwise and a pointwise convolution; the first stage's block."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = _depthwise(channels_in, kernel, stride)
        self.bn1 = _norm(channels_in)
        self.conv_pw = nn.Conv2d(channels_in, channels_out, 1, bias=False)
        self.bn2 = _norm(channels_out)
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: FeatureMap) -> OutputMap:
        """(batch, channel, height, width) to the same, `stride` times smaller."""
        y = F.relu6(self.bn1(self.conv_dw(x)))
        y = self.bn2(self.conv_pw(y))
        return x + y if self.shortcut else y


class InvertedResidual(nn.Module):
    """Widen, convolve each channel by itself, narrow; with a shortcut where sizes allow."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        width = channels_in * expansion
        self.conv_pw = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = _norm(width)
        self.conv_dw = _depthwise(width, kernel, stride)
        self.bn2 = _norm(width)
        self.conv_pwl = nn.Conv2d(width, channels_out, 1, bias=False)
        self.bn3 = _norm(channels_out)
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: FeatureMap) -> OutputMap:
        """(batch, channel, height, width) to the same, `stride` times smaller."""
        y = F.relu6(self.bn1(self.conv_pw(x)))
        y = F.relu6(self.bn2(self.conv_dw(y)))
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.shortcut else y


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0 without its head: features at strides 2, 4, 8, 16 and 32.

    Args:
        stages: how many of its seven stages are kept. Five end at stride 16 and six at 32; the
            seventh only widens the last ones.

    Attributes:
        ends: the stages after which the features are given out: the last at each stride.
        channels, strides: of the features after each of them.

    Raises:
        InputError: there are not so many stages.

    """

    def __init__(self, stages: int = 7) -> None:
        super().__init__()
        if not 1 <= stages <= len(_STAGES):
            raise InputError(f"stages={stages}; EfficientNet-Lite0 has 1 to {len(_STAGES)}")
        self.conv_stem = SameConv2d(3, STEM_CHANNELS, 3, 2, bias=False)
        self.bn1 = _norm(STEM_CHANNELS)
        self.blocks = nn.Sequential()
        before, total = STEM_CHANNELS, 2
        last: dict[int, tuple[int, int]] = {}
        for blocks, kernel, stride, expansion, channels in _STAGES[:stages]:
            stage = nn.Sequential()
            for index in range(blocks):
                step = stride if index == 0 else 1
                if expansion == 1:
                    stage.append(SeparableBlock(before, channels, kernel, step))
                else:
                    stage.append(InvertedResidual(before, channels, kernel, step, expansion))
                before = channels
            self.blocks.append(stage)
            total *= stride
            last[total] = (len(self.blocks) - 1, channels)
        self.strides = tuple(last)
        self.ends = tuple(index for index, _ in last.values())
        self.channels = tuple(channels for _, channels in last.values())
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # What goes out of a channel of a depthwise convolution is one kernel, not all.
                fan = module.weight[0, 0].numel() * module.out_channels // module.groups
                nn.init.normal_(module.weight, 0.0, (2.0 / fan) ** 0.5)

    def forward(self, images: FeatureMap) -> list[Tensor]:
        """Images (batch, 3, height, width) to features (batch, channels[i], height, width)."""
        x = F.relu6(self.bn1(self.conv_stem(images)))
        features = []
        for index, stage in enumerate(self.blocks):
            x = stage(x)
            if index in self.ends:
                features.append(x)
        return features
